package fornax.serve;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import fornax.data.StopStrings;
import fornax.data.StreamingDecoder;
import fornax.data.Tokenizer;
import fornax.models.gpt.BatchedGenerator;
import fornax.models.gpt.Sampling;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/// The texts of one request as they are written.
final class Completion {
  private static final AtomicLong COUNT = new AtomicLong();
  private static final long PATIENCE_MILLIS = 1000;

  private final CompletionRequest request;
  private final Tokenizer tokenizer;
  private final String model;
  private final String id =
      "cmpl-" + Long.toHexString(System.nanoTime()) + "-" + COUNT.incrementAndGet();
  private final long created = System.currentTimeMillis() / 1000;
  private final BlockingQueue<Event> events = new LinkedBlockingQueue<>(); // at most maxTokens each
  private final List<Choice> choices = new ArrayList<>();
  private final List<BatchedGenerator.Request> submitted = new ArrayList<>();

  /// What the generator says of a choice.
  private sealed interface Event {
    record Token(int choice, int token) implements Event {}

    record End(int choice) implements Event {}

    record Failure(int choice, Throwable cause) implements Event {}
  }

  /// Takes what there is to show.
  interface Listener {
    /// A piece of a choice's text.
    void piece(int choice, String text) throws IOException;

    /// The choice has ended, by `stop` or `length`.
    void ended(int choice, String reason) throws IOException;

    /// Nothing has come for a while: a chance to find the client gone.
    void waiting() throws IOException;
  }

  Completion(CompletionRequest request, Tokenizer tokenizer, String model) {
    this.request = request;
    this.tokenizer = tokenizer;
    this.model = model;
    for (int i = 0; i < request.prompts().size() * request.samples(); i++) {
      choices.add(new Choice(i));
    }
  }

  /// Has it written, and tells `listener` how it goes, on this thread. Where the listener fails,
  /// the generation ends.
  ///
  /// @throws ApiException if the model fails
  void run(BatchedGenerator generator, Listener listener)
      throws IOException, InterruptedException, ApiException {
    try {
      for (int p = 0; p < request.prompts().size(); p++) {
        submitted.add(submit(generator, p));
      }
      if (request.echo()) {
        for (Choice choice : choices) {
          choice.say(tokenizer.decode(prompt(choice.index)), listener);
        }
      }
      for (int open = choices.size(); open > 0; ) {
        Event event = events.poll(PATIENCE_MILLIS, TimeUnit.MILLISECONDS);
        switch (event) {
          case null -> listener.waiting();
          case Event.Token(int choice, int token) -> choices.get(choice).take(token, listener);
          case Event.End(int choice) -> {
            choices.get(choice).end(listener);
            open--;
          }
          case Event.Failure(_, Throwable cause) ->
              throw new ApiException(500, null, null, "the model failed: " + cause);
        }
      }
    } finally {
      submitted.forEach(BatchedGenerator.Request::cancel);
    }
  }

  private int[] prompt(int choice) {
    return request.prompts().get(choice / request.samples());
  }

  private BatchedGenerator.Request submit(BatchedGenerator generator, int prompt) {
    int first = prompt * request.samples();
    List<Sampling> samplings = new ArrayList<>();
    for (int i = 0; i < request.samples(); i++) {
      samplings.add(request.sampling().withSeed(request.sampling().seed() + first + i));
    }
    return generator.submit(
        request.prompts().get(prompt),
        request.maxTokens(),
        samplings,
        new BatchedGenerator.Sink() {
          @Override
          public boolean next(int sample, int token) {
            events.add(new Event.Token(first + sample, token));
            return !choices.get(first + sample).stopped
                && tokenizer.endOfText().orElse(-1) != token;
          }

          @Override
          public void ended(int sample) {
            events.add(new Event.End(first + sample));
          }

          @Override
          public void failed(int sample, Throwable cause) {
            events.add(new Event.Failure(first + sample, cause));
          }
        });
  }

  /// One of the texts.
  private final class Choice {
    private final int index;
    private final StreamingDecoder decoder = tokenizer.streamingDecoder();
    private final StringBuilder ready = new StringBuilder(); // let through by the stop strings
    private final StopStrings stops =
        new StopStrings(request.stops(), piece -> !ready.append(piece).isEmpty());
    private int tokens;
    private volatile boolean stopped; // read by the generator's thread

    Choice(int index) {
      this.index = index;
    }

    void take(int token, Listener listener) throws IOException {
      if (stopped) {
        return; // drawn before the generator knew
      }
      tokens++;
      if (tokenizer.endOfText().orElse(-1) == token) {
        stopped = true;
        return;
      }
      stopped = !stops.next(decoder.next(token));
      flush(listener);
    }

    void end(Listener listener) throws IOException {
      if (!stops.found()) {
        boolean _ = stops.next(decoder.end());
        stops.end();
      }
      flush(listener);
      listener.ended(index, stopped ? "stop" : "length");
    }

    private void flush(Listener listener) throws IOException {
      if (!ready.isEmpty()) {
        String text = ready.toString();
        ready.setLength(0);
        say(text, listener);
      }
    }

    void say(String text, Listener listener) throws IOException {
      listener.piece(index, text);
    }
  }

  // ---- OpenAI's objects

  /// A `text_completion` without choices.
  ObjectNode json() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("id", id).put("object", "text_completion").put("created", created);
    json.put("model", model).putArray("choices");
    return json;
  }

  /// The same with one choice.
  ///
  /// @param reason null: it goes on
  ObjectNode json(int choice, String text, @Nullable String reason) {
    ObjectNode json = json();
    addChoice(json, choice, text, reason);
    return json;
  }

  /// Adds a choice to such an object.
  void addChoice(ObjectNode to, int choice, String text, @Nullable String reason) {
    to.withArray("choices")
        .addObject()
        .put("text", text)
        .put("index", choice)
        .putNull("logprobs")
        .put("finish_reason", reason);
  }

  /// The number of tokens read and written.
  ObjectNode usage() {
    int read = request.prompts().stream().mapToInt(prompt -> prompt.length).sum();
    int written = choices.stream().mapToInt(choice -> choice.tokens).sum();
    return JsonNodeFactory.instance
        .objectNode()
        .put("prompt_tokens", read)
        .put("completion_tokens", written)
        .put("total_tokens", read + written);
  }

  int choices() {
    return choices.size();
  }
}
