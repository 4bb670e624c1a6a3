package fornax.models.gpt;

import com.google.errorprone.annotations.CanIgnoreReturnValue;
import fornax.array.Shape;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensors;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// Continues the sequences of many callers with one [Gpt]: those that are under way share each pass
/// over the parameters, and one may join or leave between two passes. Source: Yu et al., "Orca",
/// OSDI 2022, §3 (iteration-level scheduling).
///
/// Callers [#submit] from any thread; one thread [#run]s. At most `parallel` sequences are under
/// way, the others wait in the order in which they came; one joins before each pass, so that a long
/// prompt holds the others up once. Each gets the tokens that a [TextGenerator] would give it.
public final class BatchedGenerator implements AutoCloseable {
  private final Gpt model;
  private final int parallel;
  private final int context;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Deque<Sequence> waiting = new ArrayDeque<>();
  private boolean closed;

  private final List<Sequence> active = new ArrayList<>(); // of the running thread

  /// @param model in evaluation mode; it stays the caller's
  /// @param parallel the most sequences under way, each of which has a [GptCache]
  /// @throws IllegalArgumentException if `parallel` is not positive, or the model in training mode
  public BatchedGenerator(Gpt model, int parallel) {
    if (parallel < 1 || model.isTraining()) {
      throw new IllegalArgumentException(
          model.isTraining()
              ? "generate: model in training mode; need eval()"
              : "generate: got " + parallel + " sequences; need at least 1");
    }
    this.model = model;
    this.parallel = parallel;
    context = model.config().context();
  }

  /// Takes the tokens of a request's samples; called by the running thread, so it should be quick.
  public interface Sink {
    /// Takes the next token of a sample; whether the sample goes on.
    boolean next(int sample, int token);

    /// The sample has all its tokens, or [#next] or [Request#cancel] has ended it.
    void ended(int sample);

    /// The sample ends because of an error.
    void failed(int sample, Throwable cause);
  }

  /// What was submitted.
  public final class Request {
    private final List<Sequence> samples = new ArrayList<>();
    private float @Nullable [] logits; // after the prompt, once a sample has read it
    private volatile boolean cancelled;

    private Request() {}

    // A cache that begins with the prompt.
    private @Nullable GptCache readPrompt() {
      for (Sequence sample : samples) {
        if (sample.cache != null && !sample.dropped && sample.drawn > 0) {
          return sample.cache;
        }
      }
      return null;
    }

    /// Ends all its samples before the next pass.
    public void cancel() {
      cancelled = true;
      wake();
    }
  }

  /// Asks for at most `count` tokens after `prompt`, once for each of `samplings`. Of a prompt that
  /// is longer than the context, the model sees the last part.
  ///
  /// @throws IllegalArgumentException if the prompt is empty or has a token outside the vocabulary,
  ///   `count` is not positive or there are no samplings
  /// @throws CancellationException if this is closed
  @CanIgnoreReturnValue
  public Request submit(int[] prompt, int count, List<Sampling> samplings, Sink sink) {
    TextGenerator.check(model, prompt);
    if (count < 1 || samplings.isEmpty()) {
      throw new IllegalArgumentException(
          "generate: got "
              + count
              + " tokens for "
              + samplings.size()
              + " samples; need at least 1 of each");
    }
    var request = new Request();
    for (int i = 0; i < samplings.size(); i++) {
      request.samples.add(new Sequence(request, i, prompt, count, samplings.get(i), sink));
    }
    lock.lock();
    try {
      if (closed) {
        throw new CancellationException("generate: closed");
      }
      waiting.addAll(request.samples);
      changed.signalAll();
    } finally {
      lock.unlock();
    }
    return request;
  }

  /// Works until [#close].
  public void run() {
    try (var _ = GradMode.noGrad()) {
      while (awaitWork()) {
        admit();
        active.removeIf(Sequence::isOver);
        step();
      }
    } finally {
      close();
      for (Sequence sequence : List.copyOf(active)) {
        sequence.fail(new CancellationException("generate: closed"));
      }
      active.clear();
      for (Sequence left = poll(); left != null; left = poll()) {
        left.fail(new CancellationException("generate: closed"));
      }
    }
  }

  /// Ends all samples with an error, and then [#run].
  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private void wake() {
    lock.lock();
    try {
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  // Whether there is something to do, and not all is over.
  private boolean awaitWork() {
    lock.lock();
    try {
      while (!closed && active.isEmpty() && waiting.isEmpty()) {
        changed.awaitUninterruptibly();
      }
      return !closed;
    } finally {
      lock.unlock();
    }
  }

  private @Nullable Sequence poll() {
    lock.lock();
    try {
      return waiting.poll();
    } finally {
      lock.unlock();
    }
  }

  // One sequence joins: with others under way, a long prompt holds them up no more than once a
  // pass.
  private void admit() {
    while (active.size() < parallel) {
      Sequence next = poll();
      if (next == null) {
        return;
      }
      if (next.isOver()) {
        continue;
      }
      active.add(next);
      next.guarded(next::start);
      return;
    }
  }

  private void step() {
    List<Sequence> ready = new ArrayList<>();
    for (Sequence sequence : active) {
      if (sequence.isFull()) {
        sequence.guarded(sequence::rereadLastPart);
      } else if (!sequence.over) {
        ready.add(sequence);
      }
    }
    if (!ready.isEmpty()) {
      try {
        pass(ready);
      } catch (RuntimeException | Error e) {
        ready.forEach(sequence -> sequence.fail(e));
      }
    }
    active.removeIf(Sequence::isOver);
  }

  // A token of each: [B, 1] to [B·V].
  private void pass(List<Sequence> ready) {
    int[] tokens = new int[ready.size()];
    Arrays.setAll(tokens, i -> ready.get(i).lastToken());
    float[] logits = logits(tokens, ready.size(), GptCache.joined(caches(ready)));
    int vocabulary = model.config().vocabulary();
    for (int i = 0; i < tokens.length; i++) {
      float[] row = Arrays.copyOfRange(logits, i * vocabulary, (i + 1) * vocabulary);
      Sequence sequence = ready.get(i);
      sequence.guarded(() -> sequence.take(row));
    }
  }

  private static List<GptCache> caches(List<Sequence> sequences) {
    List<GptCache> caches = new ArrayList<>();
    for (Sequence sequence : sequences) {
      caches.add(sequence.cache());
    }
    return caches;
  }

  private float[] logits(int[] tokens, int rows, GptCache cache) {
    try (var _ = Scope.open()) {
      Shape shape = Shape.of(rows, tokens.length / rows);
      return model.nextLogits(Tensors.on(model.backend()).of(tokens, shape), cache).toFloatArray();
    }
  }

  /// One sample of a request.
  private final class Sequence {
    private final Request request;
    private final int sample;
    private final int promptLength;
    private final int count;
    private final Sampling sampling;
    private final Sink sink;
    private final BitSet seen = new BitSet();
    private int[] tokens; // the prompt and what has been drawn
    private int length; // of these
    private @Nullable GptCache cache; // of the last tokens but one, or all
    private int drawn;
    private boolean dropped; // the prompt is no longer what the cache begins with
    private boolean over;

    Sequence(Request request, int sample, int[] prompt, int count, Sampling sampling, Sink sink) {
      this.request = request;
      this.sample = sample;
      this.count = count;
      this.sampling = sampling;
      this.sink = sink;
      tokens = Arrays.copyOf(prompt, prompt.length + Math.min(count, context));
      length = prompt.length;
      promptLength = prompt.length;
      for (int token : prompt) {
        seen.set(token);
      }
    }

    GptCache cache() {
      GptCache now = cache;
      if (now == null) {
        throw new IllegalStateException("generate: sequence not started");
      }
      return now;
    }

    boolean isOver() {
      if (!over && request.cancelled) {
        end();
        sink.ended(sample);
      }
      return over;
    }

    boolean isFull() {
      return !over && cache().length() == cache().capacity();
    }

    int lastToken() {
      return tokens[length - 1];
    }

    // Reads the prompt, or takes over what another sample has read of it.
    void start() {
      int read = Math.min(length, context);
      GptCache own = new GptCache(model, 1, (int) Math.min(context, (long) promptLength + count));
      cache = own;
      float[] logits = request.logits;
      GptCache other = request.readPrompt();
      if (logits != null && other != null) {
        own.append(other, read);
      } else {
        logits = logits(Arrays.copyOfRange(tokens, length - read, length), 1, own);
        if (request.samples.size() > 1) {
          request.logits = logits;
        }
      }
      take(logits.clone());
    }

    // The cache is full: the last three quarters of a context make room for more.
    void rereadLastPart() {
      int keep = TextGenerator.kept(context);
      dropped = true;
      cache().clear();
      take(logits(Arrays.copyOfRange(tokens, length - keep, length), 1, cache()));
    }

    // Draws the next token.
    void take(float[] logits) {
      int token = sampling.choose(logits, drawn, seen);
      seen.set(token);
      if (length == tokens.length) {
        tokens = Arrays.copyOf(tokens, 2 * length);
      }
      tokens[length++] = token;
      drawn++;
      boolean goesOn = sink.next(sample, token);
      if (!goesOn || drawn == count) {
        end();
        sink.ended(sample);
      }
    }

    // Does `work`; its error is this sequence's.
    void guarded(Runnable work) {
      try {
        work.run();
      } catch (RuntimeException | Error e) {
        fail(e);
      }
    }

    void fail(Throwable cause) {
      if (!over) {
        end();
        sink.failed(sample, cause);
      }
    }

    private void end() {
      over = true;
      GptCache now = cache;
      if (now != null) {
        now.close();
        cache = null;
      }
    }
  }
}
