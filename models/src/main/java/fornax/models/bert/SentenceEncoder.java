package fornax.models.bert;

import com.google.errorprone.annotations.MustBeClosed;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.data.MiniLm;
import fornax.data.WordPieceTokenizer;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/// Turns sentences into vectors of length 1, whose products tell how much sentences mean the same:
/// a [Bert] and its tokenizer.
///
/// ```java
/// try (var encoder = SentenceEncoder.miniLm(Backends.current(), System.err::println)) {
///   float[][] vectors = encoder.embed(List.of("A ship at sea.", "The boat sails."));
///   double score = SentenceEncoder.similarity(vectors[0], vectors[1]);
/// }
/// ```
///
/// Source: arXiv:1908.10084.
public final class SentenceEncoder implements AutoCloseable {
  private static final int BATCH_TOKENS = 4096; // padding included
  private static final int BATCH_ROWS = 128;
  private static final int UNPADDED_ROWS = 16; // a smaller batch is filled up with shorter texts

  private final Bert bert;
  private final WordPieceTokenizer tokenizer;
  private final int maxTokens;

  /// Closes `bert` when it is closed.
  ///
  /// @throws IllegalArgumentException if the tokenizer has tokens that the model has not
  public SentenceEncoder(Bert bert, WordPieceTokenizer tokenizer) {
    if (tokenizer.vocabularySize() > bert.config().vocabulary()) {
      throw new IllegalArgumentException(
          "encoder: tokenizer and model do not fit; got "
              + tokenizer.vocabularySize()
              + " tokens; need at most "
              + bert.config().vocabulary());
    }
    this.bert = bert;
    this.tokenizer = tokenizer;
    maxTokens = Math.min(tokenizer.maxTokens(), bert.config().positions());
  }

  /// The model in a folder of Hugging Face's: `config.json`, `model.safetensors` and
  /// `tokenizer.json`.
  ///
  /// @throws IOException if a file is missing, corrupt, or of a model of another kind
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with the result
  public static SentenceEncoder open(Path folder, Backend backend) throws IOException {
    try (var weights = BertWeights.openFolder(folder)) {
      return of(weights, folder.resolve("tokenizer.json"), backend);
    }
  }

  /// all-MiniLM-L6-v2, which is fetched where it is missing ([MiniLm]).
  ///
  /// @param note told before it is fetched
  /// @throws fornax.data.DataException if it cannot be had
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with the result
  public static SentenceEncoder miniLm(Backend backend, Consumer<String> note) throws IOException {
    MiniLm files = MiniLm.files(note);
    try (var weights = BertWeights.openOnnx(files.weights(), BertConfig.MINI_LM)) {
      return of(weights, files.tokenizer(), backend);
    }
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with the result
  private static SentenceEncoder of(BertWeights weights, Path tokenizer, Backend backend)
      throws IOException {
    WordPieceTokenizer words = WordPieceTokenizer.read(tokenizer);
    Bert bert = weights.model(backend);
    try {
      return new SentenceEncoder(bert, words);
    } catch (IllegalArgumentException e) {
      bert.close();
      throw new IOException(tokenizer + ": " + e.getMessage(), e);
    }
  }

  /// The model.
  public Bert bert() {
    return bert;
  }

  /// The tokenizer.
  public WordPieceTokenizer tokenizer() {
    return tokenizer;
  }

  /// One vector for each of `texts`, in their order.
  public float[][] embed(List<String> texts) {
    return embed(texts, _ -> {});
  }

  /// One vector for each of `texts`, in their order. Texts of like length are computed together; of
  /// a text longer than the model takes, the beginning counts.
  ///
  /// @param progress told now and then how many texts are done
  public float[][] embed(List<String> texts, IntConsumer progress) {
    int[][] tokens = new int[texts.size()][];
    Arrays.setAll(tokens, i -> tokenizer.encode(texts.get(i), maxTokens));
    int[] order =
        IntStream.range(0, tokens.length)
            .boxed()
            .sorted(Comparator.comparingInt(i -> -tokens[i].length)) // what is largest, first
            .mapToInt(Integer::intValue)
            .toArray();
    float[][] vectors = new float[tokens.length][];
    for (int from = 0; from < order.length; ) {
      int to = batchEnd(tokens, order, from);
      embed(tokens, Arrays.copyOfRange(order, from, to), vectors);
      progress.accept(to);
      from = to;
    }
    return vectors;
  }

  // Rows of one length need no mask, and attention without one is faster.
  private static int batchEnd(int[][] tokens, int[] order, int from) {
    int longest = tokens[order[from]].length;
    int most = Math.min(order.length, from + Math.clamp(BATCH_TOKENS / longest, 1, BATCH_ROWS));
    int to = from + 1;
    while (to < most && (to - from < UNPADDED_ROWS || tokens[order[to]].length == longest)) {
      to++;
    }
    return to;
  }

  private void embed(int[][] tokens, int[] rows, float[][] vectors) {
    int longest = tokens[rows[0]].length;
    int[] padded = new int[rows.length * longest];
    boolean[] real = new boolean[padded.length];
    for (int i = 0; i < rows.length; i++) {
      int[] row = tokens[rows[i]];
      System.arraycopy(row, 0, padded, i * longest, row.length);
      Arrays.fill(real, i * longest, i * longest + row.length, true);
    }
    boolean full = tokens[rows[rows.length - 1]].length == longest; // the shortest is last
    float[] all = compute(padded, full ? null : real, Shape.of(rows.length, longest));
    int width = bert.config().width();
    for (int i = 0; i < rows.length; i++) {
      vectors[rows[i]] = Arrays.copyOfRange(all, i * width, (i + 1) * width);
    }
  }

  private float[] compute(int[] tokens, boolean @Nullable [] mask, Shape shape) {
    try (var _ = GradMode.noGrad();
        var _ = Scope.open()) {
      Tensors device = Tensors.on(bert.backend());
      Tensor seen = mask == null ? null : device.of(mask, shape);
      return bert.embed(device.of(tokens, shape), seen).toFloatArray();
    }
  }

  /// How much two texts mean the same, from their vectors: the cosine of the angle between them,
  /// from −1 to 1.
  ///
  /// @throws IllegalArgumentException if the vectors differ in size
  public static double similarity(float[] a, float[] b) {
    if (a.length != b.length) {
      throw new IllegalArgumentException(
          "similarity: got vectors of " + a.length + " and " + b.length + "; need one size");
    }
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += (double) a[i] * b[i];
    }
    return sum;
  }

  @Override
  public void close() {
    bert.close();
  }
}
