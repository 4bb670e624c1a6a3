package fornax.cli;

import com.google.errorprone.annotations.MustBeClosed;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import fornax.train.RunFolder;
import fornax.train.RunReport;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/// Serves a run's report on this machine while the run goes on: `/` is the page, which asks for
/// `/run.json` every two seconds.
final class Dashboard implements AutoCloseable {
  private static final int STOP_SECONDS = 0;

  private final HttpServer server;
  private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
  private final RunReport report;

  private Dashboard(HttpServer server, RunFolder run) {
    this.server = server;
    report = new RunReport(run);
  }

  /// Serves `run` on the loopback address.
  ///
  /// @param port 0: any that is free
  /// @throws UserException if the port cannot be had
  @MustBeClosed
  static Dashboard open(RunFolder run, int port) {
    try {
      var address = new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
      var dashboard = new Dashboard(HttpServer.create(address, 0), run);
      dashboard.start();
      return dashboard;
    } catch (IOException e) {
      throw new UserException(
          "--dashboard: port not usable; got " + port + "; need a free one, or none for any", e);
    }
  }

  private void start() {
    var _ = server.createContext("/", exchange -> answer(exchange));
    server.setExecutor(threads);
    server.start();
  }

  /// Where a browser finds it.
  String url() {
    return "http://127.0.0.1:" + server.getAddress().getPort() + "/";
  }

  private void answer(HttpExchange exchange) throws IOException {
    try (exchange) {
      String host = String.valueOf(exchange.getRequestHeaders().getFirst("Host"));
      String path = exchange.getRequestURI().getPath();
      if (!host.matches("(127\\.0\\.0\\.1|localhost)(:[0-9]+)?")) {
        send(exchange, 403, "text/plain", "only from this machine"); // another name led here
      } else if (!exchange.getRequestMethod().equals("GET")) {
        send(exchange, 405, "text/plain", "only GET");
      } else if (path.equals("/")) {
        send(exchange, 200, "text/html; charset=utf-8", report.page(true));
      } else if (path.equals("/run.json")) {
        send(exchange, 200, "application/json", report.data());
      } else {
        send(exchange, 404, "text/plain", "only / and /run.json");
      }
    }
  }

  private static void send(HttpExchange exchange, int code, String type, String text)
      throws IOException {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    exchange.getResponseHeaders().set("Content-Type", type);
    exchange.getResponseHeaders().set("Cache-Control", "no-store");
    exchange.sendResponseHeaders(code, bytes.length);
    exchange.getResponseBody().write(bytes);
  }

  @Override
  public void close() {
    server.stop(STOP_SECONDS);
    threads.shutdownNow();
  }
}
