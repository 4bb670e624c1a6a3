package fornax.serve;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;
import java.net.URI;
import java.util.Locale;
import java.util.Set;

/// What requests must be, and how they are answered, whatever is asked for.
final class Http {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(DeserializationFeature.FAIL_ON_READING_DUP_TREE_KEY)
          .build();
  private static final Set<String> LOCAL_NAMES = Set.of("localhost", "127.0.0.1", "[::1]");

  private Http() {}

  // ---- requests

  /// Refuses what a browser is told by a page of another site, or under a name that was pointed
  /// here.
  static void requireOwnClient(HttpExchange exchange) throws ApiException {
    String host = exchange.getRequestHeaders().getFirst("Host");
    String origin = exchange.getRequestHeaders().getFirst("Origin");
    if (host == null || !isLocal(host) || origin != null && !isLocalOrigin(origin, exchange)) {
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

  private static boolean isLocalOrigin(String origin, HttpExchange exchange) {
    try {
      URI uri = URI.create(origin);
      return uri.getAuthority() != null
          && isLocal(uri.getAuthority())
          && uri.getPort() == exchange.getLocalAddress().getPort();
    } catch (IllegalArgumentException _) {
      return false;
    }
  }

  /// @throws ApiException if the request is of another method; HEAD goes with GET
  static void requireMethod(HttpExchange exchange, String method) throws ApiException {
    String got = exchange.getRequestMethod();
    if (!got.equals(method) && !(got.equals("HEAD") && method.equals("GET"))) {
      exchange.getResponseHeaders().set("Allow", method);
      throw new ApiException(405, null, "method_not_allowed", "got " + got + "; need " + method);
    }
  }

  /// The object that the request carries.
  ///
  /// @param most the longest body, in bytes
  /// @throws ApiException if it carries something else
  static ObjectNode body(HttpExchange exchange, int most) throws IOException, ApiException {
    String type = exchange.getRequestHeaders().getFirst("Content-Type");
    if (type == null || !type.toLowerCase(Locale.ROOT).startsWith("application/json")) {
      throw new ApiException(
          415, null, null, "Content-Type: got " + type + "; need application/json");
    }
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

  /// Sends HTML that may run the scripts in it and ask this server alone.
  static void sendPage(HttpExchange exchange, byte[] page) throws IOException {
    var headers = exchange.getResponseHeaders();
    headers.set("Content-Type", "text/html; charset=utf-8");
    headers.set("Cache-Control", "no-cache");
    headers.set(
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:;"
            + " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    send(exchange, 200, page);
  }

  static void send(HttpExchange exchange, int status, ObjectNode json) throws IOException {
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

  /// Tells what was wrong, where nothing has been answered yet.
  static void refuse(HttpExchange exchange, ApiException e) throws IOException {
    if (exchange.getResponseCode() == -1) {
      send(exchange, e.status(), e.json());
    }
  }
}
