package fornax.serve;

import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/// How a completion's texts go to the client.
abstract class Answer implements Completion.Listener {
  final HttpExchange exchange;
  final Patience patience;
  final Completion completion;
  private @Nullable OutputStream out;

  Answer(HttpExchange exchange, Patience patience, Completion completion) {
    this.exchange = exchange;
    this.patience = patience;
    this.completion = completion;
  }

  /// Whether the client has been told that all is well.
  boolean begun() {
    return out != null;
  }

  /// Sends `text` at once, and before the first the headers.
  ///
  /// @throws IOException if the client is gone, or takes nothing
  void write(String text) throws IOException {
    patience.during(() -> writeNow(text));
  }

  private void writeNow(String text) throws IOException {
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
