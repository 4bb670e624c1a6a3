package fornax.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import fornax.models.gpt.Sampling;
import fornax.models.gpt.TextGenerator;
import java.io.IOException;
import java.net.ConnectException;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Timeout(60)
class CompletionServerTest {
  private static final ServerOptions SMALL = ServerOptions.DEFAULT.withLimits(2, 1, 100_000, 4096);
  private static Served served;

  @BeforeAll
  static void serve() throws IOException {
    served = new Served(SMALL);
  }

  @AfterAll
  static void stop() {
    served.close();
  }

  private static String greedy(String prompt, int count) {
    int[] start = Served.TOKENIZER.encode(prompt);
    return Served.TOKENIZER.decode(
        new TextGenerator(served.gpt).generate(start, count, Sampling.GREEDY));
  }

  private static JsonNode ok(String body) throws IOException, InterruptedException {
    HttpResponse<String> response = served.post(body);
    assertEquals(200, response.statusCode(), response.body());
    assertEquals("application/json", response.headers().firstValue("Content-Type").orElse(""));
    return Served.JSON.readTree(response.body());
  }

  @Test
  void completion_isWhatTheModelWrites() throws IOException, InterruptedException {
    JsonNode json = ok("{\"prompt\":\"abc\",\"max_tokens\":20,\"temperature\":0}");
    assertEquals("text_completion", json.path("object").asText());
    assertEquals("tiny", json.path("model").asText());
    assertTrue(json.path("id").asText().startsWith("cmpl-"));
    JsonNode choice = json.path("choices").path(0);
    assertEquals(greedy("abc", 20), choice.path("text").asText());
    assertEquals("length", choice.path("finish_reason").asText());
    assertTrue(choice.path("logprobs").isNull());
    assertEquals(
        "{\"prompt_tokens\":3,\"completion_tokens\":20,\"total_tokens\":23}",
        json.path("usage").toString());
  }

  @Test
  void defaults_areOpenAis() throws IOException, InterruptedException {
    JsonNode json = ok("{\"prompt\":\"abc\"}");
    assertEquals(16, json.path("usage").path("completion_tokens").asInt());
    assertNotEquals(
        json.path("choices").path(0).path("text"),
        ok("{\"prompt\":\"abc\"}").path("choices").path(0).path("text")); // another seed
    assertEquals(1, ok("{\"model\":\"tiny\"}").path("usage").path("prompt_tokens").asInt());
  }

  @Test
  void promptsSamplesAndEcho_areChoicesInOrder() throws IOException, InterruptedException {
    JsonNode json =
        ok(
            "{\"prompt\":[\"abc\",\"de\"],\"n\":2,\"max_tokens\":9,\"seed\":5,\"echo\":true,"
                + "\"temperature\":0.7}");
    assertEquals(4, json.path("choices").size());
    for (int i = 0; i < 4; i++) {
      JsonNode choice = json.path("choices").path(i);
      String prompt = i < 2 ? "abc" : "de";
      assertEquals(i, choice.path("index").asInt());
      int[] want =
          new TextGenerator(served.gpt)
              .generate(
                  Served.TOKENIZER.encode(prompt), 9, Sampling.seeded(5 + i).withTemperature(0.7));
      assertEquals(prompt + Served.TOKENIZER.decode(want), choice.path("text").asText());
    }
    assertEquals(10, json.path("usage").path("prompt_tokens").asInt() * 2);
    JsonNode numbers = ok("{\"prompt\":[3,4,5],\"max_tokens\":4,\"temperature\":0}");
    assertEquals(
        greedy(Served.TOKENIZER.decode(3, 4, 5), 4),
        numbers.path("choices").path(0).path("text").asText());
    assertEquals(2, ok("{\"prompt\":[[3,4],[5]],\"max_tokens\":1}").path("choices").size());
  }

  @Test
  void stop_endsBeforeTheText() throws IOException, InterruptedException {
    String text = greedy("abc", 30);
    String stop = text.substring(12, 14);
    int at = text.indexOf(stop);
    for (String asked : List.of("\"" + stop + "\"", "[\"never here\",\"" + stop + "\"]")) {
      JsonNode json =
          ok("{\"prompt\":\"abc\",\"max_tokens\":30,\"temperature\":0,\"stop\":" + asked + "}");
      JsonNode choice = json.path("choices").path(0);
      assertEquals(text.substring(0, at), choice.path("text").asText());
      assertEquals("stop", choice.path("finish_reason").asText());
      assertEquals(at + 2, json.path("usage").path("completion_tokens").asInt());
    }
  }

  @Test
  void stream_isTheSameInPieces() throws IOException, InterruptedException {
    HttpResponse<String> response =
        served.post(
            "{\"prompt\":\"abc\",\"max_tokens\":20,\"temperature\":0,\"stream\":true,\"n\":2,"
                + "\"stream_options\":{\"include_usage\":true}}");
    assertEquals(
        "text/event-stream; charset=utf-8",
        response.headers().firstValue("Content-Type").orElse(""));
    List<String> events = new ArrayList<>(List.of(response.body().split("\n\n")));
    assertEquals("data: [DONE]", events.removeLast());
    JsonNode usage = Served.JSON.readTree(events.removeLast().substring(6));
    assertEquals(40, usage.path("usage").path("completion_tokens").asInt());
    String[] texts = {"", ""};
    String[] reasons = {"", ""};
    for (String event : events) {
      assertTrue(event.startsWith("data: {"), event);
      JsonNode choice = Served.JSON.readTree(event.substring(6)).path("choices").path(0);
      int index = choice.path("index").asInt();
      texts[index] += choice.path("text").asText();
      reasons[index] += choice.path("finish_reason").asText("");
    }
    String want = greedy("abc", 20);
    assertEquals(List.of(want, want), List.of(texts));
    assertEquals(List.of("length", "length"), List.of(reasons));
    assertTrue(events.size() > 30, () -> events.size() + " pieces");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"max_tokens\":0} | max_tokens",
        "{\"max_tokens\":100001} | max_tokens",
        "{\"max_tokens\":1.5} | max_tokens",
        "{\"temperature\":-1} | temperature",
        "{\"temperature\":\"hot\"} | temperature",
        "{\"top_p\":0} | top_p",
        "{\"top_p\":1.1} | top_p",
        "{\"n\":0} | n",
        "{\"n\":65} | n",
        "{\"prompt\":[\"a\",\"b\"],\"n\":33} | n",
        "{\"n\":2,\"best_of\":3} | best_of",
        "{\"stop\":\"\"} | stop",
        "{\"stop\":[\"a\",3]} | stop",
        "{\"stop\":{}} | stop",
        "{\"seed\":\"x\"} | seed",
        "{\"stream\":1} | stream",
        "{\"echo\":\"yes\"} | echo",
        "{\"logprobs\":1} | logprobs",
        "{\"suffix\":\"x\"} | suffix",
        "{\"logit_bias\":{\"5\":1}} | logit_bias",
        "{\"presence_penalty\":1} | presence_penalty",
        "{\"frequency_penalty\":0.5} | frequency_penalty",
        "{\"prompt\":\"漢\"} | prompt",
        "{\"prompt\":[]} | prompt",
        "{\"prompt\":{}} | prompt",
        "{\"prompt\":[1,-2]} | prompt",
        "{\"prompt\":[1,1000]} | prompt",
        "{\"prompt\":[\"a\",[]]} | prompt",
        "{\"max_token\":5} | max_token",
      })
  void badRequests_areNamed(String body, String parameter)
      throws IOException, InterruptedException {
    HttpResponse<String> response = served.post(body);
    assertEquals(400, response.statusCode(), response.body());
    JsonNode error = Served.JSON.readTree(response.body()).path("error");
    assertEquals(parameter, error.path("param").asText());
    assertEquals("invalid_request_error", error.path("type").asText());
    assertTrue(error.path("message").asText().startsWith(parameter + ": "), error::toString);
    assertTrue(error.has("code"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {"{ | 400", "[] | 400", "{\"n\":1,\"n\":2} | 400", "{} {} | 400", "`` | 400"})
  void whatIsNoJsonObject_isRefused(String body, int status)
      throws IOException, InterruptedException {
    HttpResponse<String> response = served.post(body);
    assertEquals(status, response.statusCode());
    assertTrue(
        Served.JSON
            .readTree(response.body())
            .path("error")
            .path("message")
            .asText()
            .startsWith("body: "));
  }

  @Test
  void otherModelsPathsAndMethods_areRefused() throws IOException, InterruptedException {
    HttpResponse<String> model = served.post("{\"model\":\"gpt-4\"}");
    assertEquals(404, model.statusCode());
    assertTrue(model.body().contains("\"code\":\"model_not_found\""), model.body());
    assertEquals(404, served.get("/v1/chat/completions").statusCode());
    assertEquals(404, served.get("/v1/models/other").statusCode());
    assertEquals(405, served.get("/v1/completions").statusCode());
    assertEquals(413, served.post("{\"prompt\":\"" + "a".repeat(5000) + "\"}").statusCode());
    String[] plain = {
      "POST /v1/completions HTTP/1.1", "Host: localhost", "Content-Length: 2", "Connection: close"
    };
    assertTrue(raw(String.join("\r\n", plain) + "\r\n\r\n{}").startsWith("HTTP/1.1 415 "));
  }

  @Test
  void models_pageAndHealth_areThere() throws IOException, InterruptedException {
    assertEquals(
        "tiny",
        Served.JSON
            .readTree(served.get("/v1/models").body())
            .path("data")
            .path(0)
            .path("id")
            .asText());
    assertEquals(
        "model",
        Served.JSON.readTree(served.get("/v1/models/tiny").body()).path("object").asText());
    assertEquals("ok", served.health().path("status").asText());
    HttpResponse<String> page = served.get("/");
    assertTrue(page.body().startsWith("<!doctype html>"));
    assertTrue(
        page.headers()
            .firstValue("Content-Security-Policy")
            .orElse("")
            .contains("default-src 'none'"));
    assertFalse(page.body().contains("http://") || page.body().contains("https://"));
  }

  @ParameterizedTest
  @CsvSource({
    "localhost, , 200",
    "127.0.0.1:PORT, , 200",
    "[::1]:80, , 200",
    "localhost, http://localhost:PORT, 200",
    "localhost, http://127.0.0.1:PORT, 200",
    "evil.example, , 403",
    "localhost.evil.example, , 403",
    "localhost, http://evil.example, 403",
    "localhost, http://localhost:1, 403",
    "localhost, null, 403",
  })
  void onLoopback_otherSitesAreRefused(String host, String origin, int status) throws IOException {
    String port = String.valueOf(served.port());
    String answer =
        raw(
            "GET /health HTTP/1.1\r\nHost: "
                + host.replace("PORT", port)
                + (origin == null ? "" : "\r\nOrigin: " + origin.replace("PORT", port))
                + "\r\nConnection: close\r\n\r\n");
    assertTrue(answer.startsWith("HTTP/1.1 " + status + " "), answer);
  }

  private static String raw(String request) throws IOException {
    try (var socket = new Socket("localhost", served.port())) {
      socket.getOutputStream().write(request.getBytes(StandardCharsets.UTF_8));
      return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  private static Socket endless(boolean stream) throws IOException {
    String body = "{\"prompt\":\"a\",\"max_tokens\":100000,\"stream\":" + stream + "}";
    var socket = new Socket("localhost", served.port());
    socket
        .getOutputStream()
        .write(
            ("POST /v1/completions HTTP/1.1\r\n"
                    + "Host: localhost\r\n"
                    + "Content-Type: application/json\r\n"
                    + "Content-Length: "
                    + body.length()
                    + "\r\n\r\n"
                    + body)
                .getBytes(StandardCharsets.UTF_8));
    return socket;
  }

  private static void awaitRequests(int count) throws IOException, InterruptedException {
    while (served.health().path("requests").asInt() != count) {
      Thread.sleep(10);
    }
  }

  @Test
  void clientThatLeaves_endsItsGenerationAndFullServerRefuses()
      throws IOException, InterruptedException {
    served.awaitIdle();
    long before = served.backend.memory().stats().live();
    try (var first = endless(true);
        var second = endless(false);
        var third = endless(true)) {
      awaitRequests(3);
      HttpResponse<String> refused = served.post("{\"prompt\":\"a\"}");
      assertEquals(503, refused.statusCode());
      assertEquals("1", refused.headers().firstValue("Retry-After").orElse(""));
      assertTrue(refused.body().contains("\"code\":\"overloaded\""), refused.body());
      assertTrue(
          first.getInputStream().read() == 'H' && second.isConnected() && third.isConnected());
    }
    served.awaitIdle();
    assertEquals(200, served.post("{\"prompt\":\"a\"}").statusCode());
    served.awaitIdle();
    assertEquals(before, served.backend.memory().stats().live());
  }

  @Test
  void close_endsWhatIsUnderWay() throws IOException, InterruptedException {
    var other = new Served(SMALL);
    assertEquals(200, other.get("/health").statusCode());
    int port = other.port();
    other.close();
    assertThrows(ConnectException.class, () -> new Socket("localhost", port).close());
  }

  @ParameterizedTest
  @CsvSource({"-1, 1, 1, 1", "70000, 1, 1, 1", "0, 0, 1, 1", "0, 1, -1, 1", "0, 1, 1, 0"})
  void options_areChecked(int port, int parallel, int queue, int tokens) {
    assertThrows(
        IllegalArgumentException.class,
        () -> new ServerOptions("localhost", port, parallel, queue, tokens, 4096));
  }
}
