package fornax.serve;

import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;
import java.util.Arrays;

/// One JSON object at the end. While a client waits long it gets spaces, which may stand before
/// one: only so is it seen to be gone.
final class WholeAnswer extends Answer {
  private final StringBuilder[] texts;
  private final String[] reasons;
  private long lastSign = System.nanoTime();

  WholeAnswer(HttpExchange exchange, Patience patience, Completion completion) {
    super(exchange, patience, completion);
    texts = new StringBuilder[completion.choices()];
    reasons = new String[texts.length];
    Arrays.setAll(texts, _ -> new StringBuilder());
  }

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
      patience.during(() -> Http.send(exchange, 200, json));
    }
  }

  // The body ends in the middle, which no client takes for an answer.
  @Override
  void fail(ApiException e) throws IOException {
    throw new IOException(e);
  }
}
