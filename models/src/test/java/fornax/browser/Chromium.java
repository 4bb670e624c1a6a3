package fornax.browser;

import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/// A page in headless Chromium, driven over the DevTools protocol
/// (chromedevtools.github.io/devtools-protocol).
public final class Chromium implements AutoCloseable {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final List<String> NAMES =
      List.of("chromium", "chromium-browser", "google-chrome");
  private static final String LISTENING = "DevTools listening on ";
  private static final int SECONDS = 30;

  private final Process process;
  private final HttpClient http = HttpClient.newHttpClient();
  private final WebSocket socket;
  private final Map<Integer, CompletableFuture<JsonNode>> answers = new ConcurrentHashMap<>();
  private final Queue<String> faults = new ConcurrentLinkedQueue<>();
  private final String session;
  private int sent;

  private Chromium(Process process, URI devTools) throws IOException {
    this.process = process;
    socket = http.newWebSocketBuilder().buildAsync(devTools, new Listener()).join();
    String target =
        call(null, "Target.createTarget", Map.of("url", "about:blank")).path("targetId").asText();
    session =
        call(null, "Target.attachToTarget", Map.of("targetId", target, "flatten", true))
            .path("sessionId")
            .asText();
    for (String domain : List.of("Page", "Runtime", "Log")) {
      JsonNode _ = call(session, domain + ".enable", Map.of());
    }
  }

  /// Starts it, with its profile in `folder`; skips the test where there is none, or fails it where
  /// `-Dfornax.require` names `chromium`.
  public static Chromium start(Path folder) throws IOException {
    Path program = program();
    if (program == null) {
      String why = "no Chromium; need one of " + NAMES + " on the path (Debian: chromium)";
      if (Arrays.asList(System.getProperty("fornax.require", "").split(",")).contains("chromium")) {
        fail(why);
      }
      abort(why);
      throw new AssertionError();
    }
    Process process =
        new ProcessBuilder(
                program.toString(),
                "--headless=new",
                "--no-sandbox", // which Chromium refuses to root, whom containers run as
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--window-size=1000,800",
                "--remote-debugging-port=0",
                "--user-data-dir=" + Files.createTempDirectory(folder, "chromium"),
                "about:blank")
            .redirectErrorStream(true)
            .start();
    try {
      BufferedReader said = process.inputReader();
      for (String line = said.readLine(); line != null; line = said.readLine()) {
        if (line.startsWith(LISTENING)) {
          Thread.ofVirtual().start(() -> said.lines().forEach(_ -> {})); // or it would block
          return new Chromium(process, URI.create(line.substring(LISTENING.length())));
        }
      }
      throw new IOException("chromium ended with code " + process.exitValue());
    } catch (Throwable e) {
      process.destroyForcibly();
      throw e;
    }
  }

  private static @Nullable Path program() {
    for (String folder : System.getenv().getOrDefault("PATH", "").split(File.pathSeparator)) {
      for (String name : NAMES) {
        Path path = Path.of(folder, name);
        if (Files.isExecutable(path)) {
          return path;
        }
      }
    }
    return null;
  }

  private final class Listener implements WebSocket.Listener {
    private final StringBuilder text = new StringBuilder();

    @Override
    public @Nullable CompletionStage<?> onText(
        WebSocket webSocket, CharSequence data, boolean last) {
      text.append(data);
      if (last) {
        take(text.toString());
        text.setLength(0);
      }
      webSocket.request(1);
      return null;
    }
  }

  private void take(String message) {
    try {
      JsonNode json = JSON.readTree(message);
      CompletableFuture<JsonNode> answer = answers.remove(json.path("id").asInt(-1));
      if (answer != null) {
        boolean _ = answer.complete(json);
      }
      String method = json.path("method").asText();
      boolean bad =
          method.equals("Runtime.exceptionThrown")
              || method.equals("Log.entryAdded")
                  && json.path("params").path("entry").path("level").asText().equals("error")
              || method.equals("Runtime.consoleAPICalled")
                  && json.path("params").path("type").asText().equals("error");
      if (bad) {
        faults.add(json.path("params").toString());
      }
    } catch (IOException e) {
      faults.add(e.toString());
    }
  }

  private JsonNode call(@Nullable String to, String method, Map<String, Object> parameters)
      throws IOException {
    int id = ++sent;
    var answer = new CompletableFuture<JsonNode>();
    answers.put(id, answer);
    ObjectNode json = JSON.createObjectNode().put("id", id).put("method", method);
    json.set("params", JSON.valueToTree(parameters));
    if (to != null) {
      json.put("sessionId", to);
    }
    var _ = socket.sendText(json.toString(), true).join();
    try {
      JsonNode got = answer.get(SECONDS, TimeUnit.SECONDS);
      if (got.has("error")) {
        throw new IOException(method + ": " + got.path("error"));
      }
      return got.path("result");
    } catch (InterruptedException | ExecutionException | TimeoutException e) {
      throw new IOException(method + ": " + e, e);
    }
  }

  /// Loads a page, and forgets the faults of the one before.
  public void open(URI page) throws IOException {
    faults.clear();
    JsonNode result = call(session, "Page.navigate", Map.of("url", page.toString()));
    if (result.has("errorText")) {
      throw new IOException(page + ": " + result.path("errorText").asText());
    }
    await("document.readyState === 'complete' && location.href.startsWith('http')");
  }

  /// The value of a script's expression; a promise's when it has one.
  public JsonNode evaluate(String script) throws IOException {
    JsonNode result =
        call(
            session,
            "Runtime.evaluate",
            Map.of("expression", script, "returnByValue", true, "awaitPromise", true));
    if (result.has("exceptionDetails")) {
      throw new IOException(script + ": " + result.path("exceptionDetails"));
    }
    return result.path("result").path("value");
  }

  /// Waits until an expression is true.
  public void await(String script) throws IOException {
    long end = System.nanoTime() + SECONDS * 1_000_000_000L;
    while (!evaluate(script).asBoolean()) {
      if (System.nanoTime() > end) {
        throw new AssertionError("not true after " + SECONDS + " s: " + script);
      }
      try {
        Thread.sleep(20);
      } catch (InterruptedException e) {
        throw new IOException(e);
      }
    }
  }

  /// What the page's scripts and the browser complained of.
  public List<String> faults() {
    return List.copyOf(faults);
  }

  /// Writes a picture of the page as PNG.
  public void screenshot(Path file) throws IOException {
    JsonNode result = call(session, "Page.captureScreenshot", Map.of("format", "png"));
    Path _ = Files.write(file, Base64.getDecoder().decode(result.path("data").asText()));
  }

  @Override
  public void close() {
    try {
      JsonNode _ = call(null, "Browser.close", Map.of());
      var _ = process.onExit().get(SECONDS, TimeUnit.SECONDS);
    } catch (IOException | InterruptedException | ExecutionException | TimeoutException _) {
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      var _ = process.destroyForcibly().onExit().join();
    }
    http.shutdownNow();
  }
}
