package fornax.serve;

import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;

/// Server-sent events: a JSON object for each piece, and `[DONE]`. Source: the HTML standard,
/// §9.2.6.
final class StreamedAnswer extends Answer {
  private final boolean usage;

  StreamedAnswer(HttpExchange exchange, Patience patience, Completion completion, boolean usage) {
    super(exchange, patience, completion);
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
