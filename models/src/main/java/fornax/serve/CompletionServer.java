package fornax.serve;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import fornax.data.Tokenizer;
import fornax.models.gpt.BatchedGenerator;
import fornax.models.gpt.Gpt;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;

/// OpenAI's `/v1/completions` and `/v1/models` for one model, `/health`, and at `/` a page to try
/// it in the browser.
///
/// A request has a virtual thread; the model computes on the one thread that [#run]s, for all
/// requests together. On a loopback address only requests that were made for one are answered, so
/// that no page of another site reaches the model through its reader's browser.
public final class CompletionServer implements AutoCloseable {
  private static final int SECONDS_TO_END = 5;

  // What the JDK's server reads when its class is loaded; a user's own values stay.
  private static final Map<String, String> HTTP_SETTINGS =
      Map.of(
          "sun.net.httpserver.nodelay", "true", // a token at a time
          "sun.net.httpserver.maxReqTime", "30", // seconds to send a request
          "jdk.httpserver.maxConnections", "4096");

  private final HttpServer http;
  private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
  private final BatchedGenerator generator;
  private final Tokenizer tokenizer;
  private final String model;
  private final int context;
  private final ServerOptions options;
  private final boolean local;
  private final Semaphore places;
  private final Patience patience;
  private final byte[] page;
  private final long started = System.currentTimeMillis() / 1000;
  private volatile boolean closing;

  /// Listens from now on. Requests are answered once [#run] is called.
  ///
  /// @param gpt in evaluation mode; it stays the caller's
  /// @param model the name that requests may give
  /// @throws IOException if it cannot listen there
  public CompletionServer(Gpt gpt, Tokenizer tokenizer, String model, ServerOptions options)
      throws IOException {
    HTTP_SETTINGS.forEach(
        (name, value) -> {
          if (System.getProperty(name) == null) {
            System.setProperty(name, value);
          }
        });
    this.tokenizer = tokenizer;
    this.model = model;
    this.options = options;
    context = gpt.config().context();
    places = new Semaphore(options.parallel() + options.queue());
    patience = new Patience(options.patienceSeconds());
    page = resource("page.html");
    generator = new BatchedGenerator(gpt, options.parallel());
    InetAddress address = InetAddress.getByName(options.host());
    local = address.isLoopbackAddress();
    http = HttpServer.create(new InetSocketAddress(address, options.port()), 0);
    http.setExecutor(threads);
    var _ = http.createContext("/", this::handle);
    http.start();
  }

  private static byte[] resource(String name) throws IOException {
    try (InputStream in = CompletionServer.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IOException("serve: no resource " + name + "; need a complete build");
      }
      return in.readAllBytes();
    }
  }

  /// Where it listens.
  public InetSocketAddress address() {
    return http.getAddress();
  }

  /// Computes for the requests, until [#close].
  public void run() {
    generator.run();
  }

  /// Takes no more requests, gives those under way a few seconds to end, and ends [#run].
  @Override
  public void close() {
    closing = true;
    long end = System.nanoTime() + SECONDS_TO_END * 1_000_000_000L;
    try {
      int all = options.parallel() + options.queue();
      while (places.availablePermits() < all && System.nanoTime() < end) {
        Thread.sleep(10);
      }
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
    generator.close();
    http.stop(0);
    threads.shutdownNow();
    patience.close();
  }

  // ---- requests

  private void handle(HttpExchange exchange) throws IOException {
    try {
      answer(exchange);
    } finally {
      patience.during(exchange::close); // which may write the rest
    }
  }

  private void answer(HttpExchange exchange) throws IOException {
    try {
      if (local) {
        Http.requireOwnClient(exchange);
      }
      String path = exchange.getRequestURI().getPath();
      switch (path) {
        case "/" -> {
          Http.requireMethod(exchange, "GET");
          patience.during(() -> Http.sendPage(exchange, page));
        }
        case "/health" -> {
          Http.requireMethod(exchange, "GET");
          patience.during(() -> Http.send(exchange, 200, health()));
        }
        case "/v1/models" -> {
          Http.requireMethod(exchange, "GET");
          ObjectNode list = JsonNodeFactory.instance.objectNode().put("object", "list");
          var _ = list.putArray("data").add(modelObject());
          patience.during(() -> Http.send(exchange, 200, list));
        }
        case "/v1/completions" -> {
          Http.requireMethod(exchange, "POST");
          complete(exchange);
        }
        default -> {
          if (!path.equals("/v1/models/" + model)) {
            throw new ApiException(
                404, null, "not_found", "no " + path + "; need /v1/completions or /v1/models");
          }
          Http.requireMethod(exchange, "GET");
          patience.during(() -> Http.send(exchange, 200, modelObject()));
        }
      }
    } catch (ApiException e) {
      patience.during(() -> Http.refuse(exchange, e));
    } catch (CancellationException _) {
      patience.during(() -> Http.refuse(exchange, closing()));
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
  }

  private ObjectNode modelObject() {
    return JsonNodeFactory.instance
        .objectNode()
        .put("id", model)
        .put("object", "model")
        .put("created", started)
        .put("owned_by", "fornax");
  }

  private ObjectNode health() {
    int all = options.parallel() + options.queue();
    return JsonNodeFactory.instance
        .objectNode()
        .put("status", closing ? "closing" : "ok")
        .put("model", model)
        .put("context", context)
        .put("vocabulary", tokenizer.vocabularySize())
        .put("requests", all - places.availablePermits())
        .put("maxRequests", all)
        .put("maxTokens", options.maxTokens());
  }

  private void complete(HttpExchange exchange)
      throws IOException, ApiException, InterruptedException {
    CompletionRequest request =
        CompletionRequest.of(
            Http.body(exchange, options.maxBodyBytes()), model, tokenizer, options);
    if (closing) {
      throw closing();
    }
    if (!places.tryAcquire()) {
      exchange.getResponseHeaders().set("Retry-After", "1");
      throw new ApiException(
          503,
          null,
          "overloaded",
          "too many requests; there are "
              + (options.parallel() + options.queue())
              + " already; try again later");
    }
    try {
      var completion = new Completion(request, tokenizer, model);
      Answer answer =
          request.stream()
              ? new StreamedAnswer(exchange, patience, completion, request.usage())
              : new WholeAnswer(exchange, patience, completion);
      try {
        completion.run(generator, answer);
        answer.end();
      } catch (ApiException | CancellationException e) {
        if (answer.begun()) {
          answer.fail(e instanceof ApiException failure ? failure : closing());
          return;
        }
        throw e;
      }
    } finally {
      places.release();
    }
  }

  private static ApiException closing() {
    return new ApiException(503, null, "closing", "the server is closing");
  }
}
