package fornax.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.browser.Chromium;
import fornax.models.gpt.Sampling;
import fornax.models.gpt.TextGenerator;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// The page at `/` in a real browser.
@Timeout(120)
class PageTest {
  @TempDir static Path folder;
  private static Chromium browser;
  private Served served;

  @BeforeAll
  static void start() throws IOException {
    browser = Chromium.start(folder);
  }

  @AfterAll
  static void stop() {
    if (browser != null) {
      browser.close();
    }
  }

  @BeforeEach
  void open() throws IOException {
    served = new Served(ServerOptions.DEFAULT);
    browser.open(served.uri("/"));
  }

  @AfterEach
  void close() {
    served.close();
  }

  private static void set(String id, Object value) throws IOException {
    browser.evaluate(
        "document.getElementById('%s').value = %s"
            .formatted(id, Served.JSON.writeValueAsString(value.toString())));
  }

  private static void click(String id) throws IOException {
    browser.evaluate("document.getElementById('%s').click()".formatted(id));
  }

  private static String text(String selector) throws IOException {
    return browser
        .evaluate("document.querySelector('%s').textContent".formatted(selector))
        .asText();
  }

  private static void awaitState(String regex) throws IOException {
    browser.await("/%s/.test(document.getElementById('state').textContent)".formatted(regex));
  }

  @Test
  void texts_appearAsTheyAreWritten() throws IOException {
    browser.await("document.getElementById('model').textContent.startsWith('tiny')");
    set("prompt", "abc");
    set("max_tokens", 20);
    set("temperature", 0);
    set("n", 3);
    click("go");
    awaitState("^60 tokens in .* s, .* tokens.s$");
    assertEquals(3, browser.evaluate("document.querySelectorAll('.text').length").asInt());
    int[] want =
        new TextGenerator(served.gpt).generate(Served.TOKENIZER.encode("abc"), 20, Sampling.GREEDY);
    assertEquals("abc", text(".prompt"));
    assertEquals(Served.TOKENIZER.decode(want), text(".text:last-child .written"));
    assertTrue(browser.evaluate("document.getElementById('halt').disabled").asBoolean());
    assertEquals(List.of(), browser.faults());
  }

  @Test
  void stopButton_endsTheGeneration() throws IOException, InterruptedException {
    set("prompt", "a");
    set("max_tokens", 4096);
    click("go");
    browser.await("document.querySelector('.written')?.textContent.length > 20");
    assertTrue(browser.evaluate("document.getElementById('go').disabled").asBoolean());
    click("halt");
    awaitState("^stopped$");
    served.awaitIdle();
    assertTrue(text(".written").length() < 4096);
    set("max_tokens", 3);
    click("go");
    awaitState("^3 tokens in");
    assertEquals(List.of(), browser.faults());
  }

  @Test
  void errorsAndMarkup_areShownAsText() throws IOException {
    set("prompt", "<b>漢</b>");
    click("go");
    awaitState("^prompt: char tokenizer: unknown character");
    assertTrue(browser.evaluate("document.querySelector('#state.error') !== null").asBoolean());
    assertEquals("<b>漢</b>", text(".prompt"));
    assertTrue(browser.evaluate("document.querySelector('#texts b') === null").asBoolean());
  }
}
