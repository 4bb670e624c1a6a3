package fornax.serve;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import fornax.backend.Backend;
import fornax.data.CharTokenizer;
import fornax.data.Tokenizer;
import fornax.models.Devices;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.GptConfig;
import fornax.nn.Weights;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;

/// A served model with random weights, and a client of it.
final class Served implements AutoCloseable {
  static final JsonMapper JSON = JsonMapper.builder().build();
  static final Tokenizer TOKENIZER = CharTokenizer.of("\n abcdefghijklmnopqrstuvwxyzäöüABC.,;:!?");
  static final int CONTEXT = 32;

  final Backend backend = Devices.open("cpu");
  final Gpt gpt;
  final CompletionServer server;
  private final Thread thread;
  private final HttpClient client = HttpClient.newHttpClient();

  Served(ServerOptions options) throws IOException {
    gpt =
        new Gpt(
            new GptConfig(TOKENIZER.vocabularySize(), CONTEXT, 2, 2, 32, 0),
            Weights.on(backend, 3));
    gpt.eval();
    server = new CompletionServer(gpt, TOKENIZER, "tiny", options.withPort(0));
    thread = Thread.ofPlatform().name("served").start(server::run);
  }

  int port() {
    return server.address().getPort();
  }

  URI uri(String path) {
    return URI.create("http://localhost:" + port() + path);
  }

  HttpResponse<String> get(String path) throws IOException, InterruptedException {
    return client.send(HttpRequest.newBuilder(uri(path)).build(), BodyHandlers.ofString());
  }

  HttpResponse<String> post(String body) throws IOException, InterruptedException {
    return client.send(completion(body), BodyHandlers.ofString());
  }

  HttpRequest completion(String body) {
    return HttpRequest.newBuilder(uri("/v1/completions"))
        .header("Content-Type", "application/json")
        .timeout(Duration.ofSeconds(60))
        .POST(BodyPublishers.ofString(body))
        .build();
  }

  JsonNode health() throws IOException, InterruptedException {
    return JSON.readTree(get("/health").body());
  }

  /// Waits until no request is under way.
  void awaitIdle() throws IOException, InterruptedException {
    long end = System.nanoTime() + 30_000_000_000L;
    while (health().path("requests").asInt() > 0) {
      if (System.nanoTime() > end) {
        throw new AssertionError("requests left: " + health());
      }
      Thread.sleep(20);
    }
  }

  @Override
  public void close() {
    client.close();
    server.close();
    try {
      thread.join();
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
    gpt.close();
    backend.close();
  }
}
