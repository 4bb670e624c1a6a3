package fornax.serve;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Clients that speak no HTTP, or too much of it: the server goes on serving the others.
@Timeout(60)
class HostileClientTest {
  private static final String POST = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n";
  private static final String JSON = "Content-Type: application/json\r\n";

  private static Served served;

  @BeforeAll
  static void serve() throws IOException {
    served = new Served(ServerOptions.DEFAULT.withLimits(2, 2, 100, 4096));
  }

  @AfterAll
  static void stop() {
    served.close();
  }

  @AfterEach
  void othersAreServed() throws IOException, InterruptedException {
    assertEquals(200, served.post("{\"prompt\":\"abc\",\"max_tokens\":3}").statusCode());
  }

  private static Socket connect() throws IOException {
    Socket socket = new Socket(InetAddress.getLoopbackAddress(), served.server.address().getPort());
    socket.setSoTimeout(20_000);
    return socket;
  }

  /// All that comes back.
  private static String send(String request) throws IOException {
    try (Socket socket = connect()) {
      try {
        socket.getOutputStream().write(request.getBytes(ISO_8859_1));
        socket.shutdownOutput();
        return new String(socket.getInputStream().readAllBytes(), ISO_8859_1);
      } catch (IOException _) {
        return ""; // it has hung up
      }
    }
  }

  private static String get(String target, String... headers) throws IOException {
    return send(
        "GET "
            + target
            + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            + String.join("", headers)
            + "\r\n");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/v1/models/..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
        "/v1/../../x",
        "/page.html",
        "/fornax/serve/page.html",
        "/%00",
        "foo:bar",
        "*",
        "http:",
        "/%",
        "/%zz"
      })
  void noFileIsThere(String target) throws IOException {
    String answer = get(target);
    assertFalse(answer.contains("200 OK") && !answer.contains("<!doctype html>"), answer);
    assertFalse(answer.contains("root:"), answer);
    assertTrue(answer.isEmpty() || answer.matches("(?s)HTTP/1.1 40[0345].*"), answer);
  }

  @Test
  void headersCannotBeInjected() throws IOException {
    String answer = get("/%0d%0aX-Injected:%20yes");
    assertTrue(answer.startsWith("HTTP/1.1 404"), answer);
    assertFalse(answer.contains("\nX-Injected"), answer);
    answer = get("/", "Origin: http://evil\r\n");
    assertTrue(answer.startsWith("HTTP/1.1 403"), answer);
    assertFalse(answer.toLowerCase(Locale.ROOT).contains("access-control-allow"), answer);
  }

  @Test
  void giantHeadersAndLines_areRefused() throws IOException {
    String answer = get("/health", "X-Big: " + "a".repeat(1 << 20) + "\r\n");
    assertFalse(answer.contains("200 OK"), () -> answer.substring(0, 100));
    StringBuilder many = new StringBuilder();
    for (int i = 0; i < 20_000; i++) {
      many.append("X-").append(i).append(": 1\r\n");
    }
    String second = get("/health", many.toString());
    assertFalse(second.contains("200 OK"), second);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\r\n\r\n",
        "\0\0\0\0",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        POST + "Content-Length: -1\r\n\r\n",
        POST + "Content-Length: 99999999999999999999\r\n\r\n{}",
        POST + "Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
        POST + JSON + "Transfer-Encoding: chunked\r\n\r\nffffffff\r\n{"
      })
  void whatIsNoHttp_isRefused(String request) throws IOException {
    String answer = send(request);
    assertFalse(answer.contains("200 OK"), answer);
  }

  @Test
  void lyingLengthOfABody_costsNoMore() throws IOException {
    String answer = send(POST + JSON + "Content-Length: 2000000000\r\n\r\n{\"prompt\":\"a\"}");
    assertFalse(answer.contains("200 OK"), answer);
  }

  @Test
  void clientsThatSendSlowly_keepNobodyOut() throws IOException, InterruptedException {
    List<Socket> slow = new ArrayList<>();
    try {
      for (int i = 0; i < 200; i++) {
        Socket socket = connect();
        slow.add(socket);
        socket.getOutputStream().write("POST /v1/completions HTTP/1.1\r\nHo".getBytes(ISO_8859_1));
      }
      assertEquals(200, served.post("{\"prompt\":\"abc\",\"max_tokens\":3}").statusCode());
    } finally {
      for (Socket socket : slow) {
        socket.close();
      }
    }
  }

  /// Each asks for 13 MB, takes all places, and reads nothing.
  @Test
  void clientsThatNeverRead_areHungUpOn() throws IOException, InterruptedException {
    var options = ServerOptions.DEFAULT.withLimits(2, 2, 100, 1 << 20).withPatience(1);
    String body =
        "{\"prompt\":\""
            + "a".repeat(200_000)
            + "\",\"n\":64,\"echo\":true,\"max_tokens\":1,\"stream\":";
    List<Socket> stuck = new ArrayList<>();
    try (var other = new Served(options)) {
      try {
        for (int i = 0; i < 4; i++) {
          String text = body + (i % 2 == 0) + "}";
          Socket socket = new Socket(InetAddress.getLoopbackAddress(), other.port());
          stuck.add(socket);
          String head = POST + JSON + "Content-Length: " + text.length() + "\r\n\r\n";
          socket.getOutputStream().write((head + text).getBytes(ISO_8859_1));
        }
        while (other.health().path("requests").asInt() < 4) {
          Thread.sleep(5);
        }
        assertEquals(503, other.post("{\"prompt\":\"a\",\"max_tokens\":3}").statusCode());
        other.awaitIdle();
        assertEquals(200, other.post("{\"prompt\":\"a\",\"max_tokens\":3}").statusCode());
        for (Socket socket : stuck) {
          socket.setSoTimeout(10_000);
          assertTrue(bytesLeft(socket) < 13_000_000);
        }
      } finally {
        for (Socket socket : stuck) {
          socket.close();
        }
      }
    }
  }

  private static long bytesLeft(Socket socket) {
    long bytes = 0;
    byte[] block = new byte[1 << 16];
    try {
      for (int n = 0; n >= 0; n = socket.getInputStream().read(block)) {
        bytes += n;
      }
    } catch (SocketTimeoutException e) {
      throw new AssertionError("still open", e);
    } catch (IOException _) {
      return bytes; // reset
    }
    return bytes;
  }
}
