package fornax.serve;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import fornax.data.Tokenizer;
import fornax.models.gpt.BatchedGenerator;
import fornax.models.gpt.Gpt;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import org.jspecify.annotations.Nullable;

/// OpenAI's `/v1/completions` and `/v1/models` for one model, `/health`, and at `/` a page to try
/// it in the browser.
///
/// A request has a virtual thread; the model computes on the one thread that [#run]s, for all
/// requests together. On a loopback address only requests that were made for one are answered, so
/// that no page of another site reaches the model through its reader's browser.
public final class CompletionServer implements AutoCloseable {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(DeserializationFeature.FAIL_ON_READING_DUP_TREE_KEY)
          .build();
  private static final Set<String> LOCAL_NAMES = Set.of("localhost", "127.0.0.1", "[::1]");
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
  }

  // ---- requests

  private void handle(HttpExchange exchange) throws IOException {
    try (exchange) {
      try {
        requireOwnClient(exchange);
        String path = exchange.getRequestURI().getPath();
        switch (path) {
          case "/" -> {
            requireMethod(exchange, "GET");
            sendPage(exchange);
          }
          case "/health" -> {
            requireMethod(exchange, "GET");
            send(exchange, 200, health());
          }
          case "/v1/models" -> {
            requireMethod(exchange, "GET");
            ObjectNode list = JsonNodeFactory.instance.objectNode().put("object", "list");
            var _ = list.putArray("data").add(modelObject());
            send(exchange, 200, list);
          }
          case "/v1/completions" -> {
            requireMethod(exchange, "POST");
            complete(exchange);
          }
          default -> {
            if (!path.equals("/v1/models/" + model)) {
              throw new ApiException(
                  404, null, "not_found", "no " + path + "; need /v1/completions or /v1/models");
            }
            requireMethod(exchange, "GET");
            send(exchange, 200, modelObject());
          }
        }
      } catch (ApiException e) {
        refuse(exchange, e);
      } catch (CancellationException _) {
        refuse(exchange, closing());
      } catch (InterruptedException _) {
        Thread.currentThread().interrupt();
      }
    }
  }

  // What a browser is told by a page of another site, or under a name that was pointed here.
  private void requireOwnClient(HttpExchange exchange) throws ApiException {
    if (!local) {
      return;
    }
    String host = exchange.getRequestHeaders().getFirst("Host");
    String origin = exchange.getRequestHeaders().getFirst("Origin");
    if (host == null || !isLocal(host) || origin != null && !isLocalOrigin(origin)) {
      throw new ApiException(
          403,
          null,
          "not_local",
          "not for another site; got Host "
              + host
              + (origin == null ? "" : " and Origin " + origin)
              + "; need localhost or 127.0.0.1");
    }
  }

  private static boolean isLocal(String hostAndPort) {
    return LOCAL_NAMES.contains(hostAndPort.replaceFirst(":\\d+$", ""));
  }

  private boolean isLocalOrigin(String origin) {
    try {
      URI uri = URI.create(origin);
      return uri.getAuthority() != null
          && isLocal(uri.getAuthority())
          && uri.getPort() == http.getAddress().getPort();
    } catch (IllegalArgumentException _) {
      return false;
    }
  }

  private static void requireMethod(HttpExchange exchange, String method) throws ApiException {
    String got = exchange.getRequestMethod();
    if (!got.equals(method) && !(got.equals("HEAD") && method.equals("GET"))) {
      exchange.getResponseHeaders().set("Allow", method);
      throw new ApiException(405, null, "method_not_allowed", "got " + got + "; need " + method);
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
    CompletionRequest request = CompletionRequest.of(body(exchange), model, tokenizer, options);
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
              ? new StreamedAnswer(exchange, completion, request.usage())
              : new WholeAnswer(exchange, completion);
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

  private ObjectNode body(HttpExchange exchange) throws IOException, ApiException {
    String type = exchange.getRequestHeaders().getFirst("Content-Type");
    if (type == null || !type.toLowerCase(Locale.ROOT).startsWith("application/json")) {
      throw new ApiException(
          415, null, null, "Content-Type: got " + type + "; need application/json");
    }
    int most = options.maxBodyBytes();
    byte[] bytes = exchange.getRequestBody().readNBytes(most + 1);
    if (bytes.length > most) {
      exchange.getResponseHeaders().set("Connection", "close");
      throw new ApiException(
          413, null, "too_large", "body too large; need at most " + most + " bytes");
    }
    try {
      JsonNode json = JSON.readTree(bytes);
      if (json instanceof ObjectNode object) {
        return object;
      }
      throw new ApiException(400, null, null, "body: need a JSON object");
    } catch (JacksonException e) {
      throw new ApiException(
          400,
          null,
          null,
          "body: not valid JSON: " + e.getOriginalMessage().lines().findFirst().orElse(""));
    }
  }

  // ---- answers

  private void sendPage(HttpExchange exchange) throws IOException {
    var headers = exchange.getResponseHeaders();
    headers.set("Content-Type", "text/html; charset=utf-8");
    headers.set("Cache-Control", "no-cache");
    headers.set(
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:;"
            + " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    send(exchange, 200, page);
  }

  private static void send(HttpExchange exchange, int status, ObjectNode json) throws IOException {
    exchange.getResponseHeaders().set("Content-Type", "application/json");
    send(exchange, status, JSON.writeValueAsBytes(json));
  }

  private static void send(HttpExchange exchange, int status, byte[] bytes) throws IOException {
    exchange.getResponseHeaders().set("X-Content-Type-Options", "nosniff");
    boolean head = exchange.getRequestMethod().equals("HEAD");
    if (head) {
      exchange.getResponseHeaders().set("Content-Length", String.valueOf(bytes.length));
    }
    exchange.sendResponseHeaders(status, head ? -1 : bytes.length);
    if (!head) {
      exchange.getResponseBody().write(bytes);
    }
  }

  private static void refuse(HttpExchange exchange, ApiException e) throws IOException {
    if (exchange.getResponseCode() == -1) {
      send(exchange, e.status(), e.json());
    }
  }

  /// How a completion's texts go to the client.
  private abstract static class Answer implements Completion.Listener {
    final HttpExchange exchange;
    final Completion completion;
    private @Nullable OutputStream out;

    Answer(HttpExchange exchange, Completion completion) {
      this.exchange = exchange;
      this.completion = completion;
    }

    /// Whether the client has been told that all is well.
    boolean begun() {
      return out != null;
    }

    /// Sends `text` at once, and before the first the headers.
    ///
    /// @throws IOException if the client is gone
    void write(String text) throws IOException {
      OutputStream to = out;
      if (to == null) {
        exchange.getResponseHeaders().set("Content-Type", type());
        exchange.getResponseHeaders().set("Cache-Control", "no-store");
        exchange.getResponseHeaders().set("X-Content-Type-Options", "nosniff");
        exchange.sendResponseHeaders(200, 0);
        to = exchange.getResponseBody();
        out = to;
      }
      to.write(text.getBytes(StandardCharsets.UTF_8));
      to.flush();
    }

    abstract String type();

    abstract void end() throws IOException;

    abstract void fail(ApiException e) throws IOException;
  }

  /// One JSON object at the end. While a client waits long it gets spaces, which may stand before
  /// one: only so is it seen to be gone.
  private static final class WholeAnswer extends Answer {
    private final StringBuilder[] texts;
    private final String[] reasons;

    WholeAnswer(HttpExchange exchange, Completion completion) {
      super(exchange, completion);
      texts = new StringBuilder[completion.choices()];
      reasons = new String[texts.length];
      Arrays.setAll(texts, _ -> new StringBuilder());
    }

    private long lastSign = System.nanoTime();

    @Override
    String type() {
      return "application/json";
    }

    @Override
    public void piece(int choice, String text) throws IOException {
      var _ = texts[choice].append(text);
      if (System.nanoTime() - lastSign > 1_000_000_000L) {
        waiting();
      }
    }

    @Override
    public void ended(int choice, String reason) {
      reasons[choice] = reason;
    }

    @Override
    public void waiting() throws IOException {
      lastSign = System.nanoTime();
      write(" ");
    }

    @Override
    void end() throws IOException {
      ObjectNode json = completion.json();
      for (int i = 0; i < texts.length; i++) {
        completion.addChoice(json, i, texts[i].toString(), reasons[i]);
      }
      var _ = json.set("usage", completion.usage());
      if (begun()) {
        write(json.toString());
      } else {
        send(exchange, 200, json);
      }
    }

    // The body ends in the middle, which no client takes for an answer.
    @Override
    void fail(ApiException e) throws IOException {
      throw new IOException(e);
    }
  }

  /// Server-sent events: a JSON object for each piece, and `[DONE]`. Source: the HTML standard,
  /// §9.2.6.
  private static final class StreamedAnswer extends Answer {
    private final boolean usage;

    StreamedAnswer(HttpExchange exchange, Completion completion, boolean usage) {
      super(exchange, completion);
      this.usage = usage;
    }

    @Override
    String type() {
      return "text/event-stream; charset=utf-8";
    }

    private void event(String data) throws IOException {
      write("data: " + data + "\n\n");
    }

    @Override
    public void piece(int choice, String text) throws IOException {
      event(completion.json(choice, text, null).toString());
    }

    @Override
    public void ended(int choice, String reason) throws IOException {
      event(completion.json(choice, "", reason).toString());
    }

    @Override
    public void waiting() throws IOException {
      write(": waiting\n\n");
    }

    @Override
    void end() throws IOException {
      if (usage) {
        ObjectNode json = completion.json();
        var _ = json.set("usage", completion.usage());
        event(json.toString());
      }
      event("[DONE]");
    }

    @Override
    void fail(ApiException e) throws IOException {
      event(e.json().toString());
    }
  }
}
