package fornax.models.gpt;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.nn.AttentionCache;
import fornax.nn.JoinedCache;
import fornax.nn.KeyValueCache;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.util.ArrayList;
import java.util.List;

/// What a [Gpt] keeps of the positions that it has seen: the keys and values of each block, for
/// `batch` sequences.
public final class GptCache implements AutoCloseable {
  private final Gpt model;
  private final List<KeyValueCache> blocks = new ArrayList<>(); // none where joined
  private final List<GptCache> rows;

  /// An empty cache for sequences of at most the model's context, of `2 · layers · batch · context
  /// · width` elements.
  public GptCache(Gpt model, int batch) {
    this(model, batch, model.config().context());
  }

  /// The same for sequences of at most `capacity` positions.
  ///
  /// @throws fornax.array.ShapeException if `capacity` is not positive
  public GptCache(Gpt model, int batch, int capacity) {
    this.model = model;
    rows = List.of();
    GptConfig config = model.config();
    DType type = model.precision().activations();
    Shape shape = Shape.of(batch, config.heads(), capacity, config.width() / config.heads());
    try {
      for (int i = 0; i < config.layers(); i++) {
        blocks.add(new KeyValueCache(model.backend(), type, shape));
      }
    } catch (Throwable e) {
      close();
      throw e;
    }
  }

  private GptCache(Gpt model, List<GptCache> rows) {
    this.model = model;
    this.rows = rows;
  }

  /// The caches of sequences that may differ in length as one, for a pass over all of them. They
  /// stay the caller's.
  ///
  /// @param rows of one sequence each, and of one model
  public static GptCache joined(List<GptCache> rows) {
    return rows.size() == 1
        ? new GptCache(rows.getFirst().model, List.of(rows.getFirst()))
        : new GptCache(rows.getFirst().model, List.copyOf(rows));
  }

  /// The positions seen: of joined sequences, by the longest.
  public long length() {
    return rows.isEmpty()
        ? blocks.getFirst().length()
        : rows.stream().mapToLong(GptCache::length).max().orElseThrow();
  }

  /// The positions that there is room for.
  long capacity() {
    return blocks.getFirst().capacity();
  }

  /// Forgets all positions.
  public void clear() {
    blocks.forEach(KeyValueCache::clear);
  }

  /// Adds the first `count` positions of `other`, which is of the same model and batch.
  void append(GptCache other, int count) {
    try (var _ = Scope.open()) {
      for (int i = 0; i < blocks.size(); i++) {
        KeyValueCache from = other.blocks.get(i);
        blocks.get(i).append(from.keys().slice(2, 0, count), from.values().slice(2, 0, count));
      }
    }
  }

  AttentionCache block(int number) {
    if (rows.isEmpty()) {
      return blocks.get(number);
    }
    return rows.size() == 1
        ? rows.getFirst().blocks.get(number)
        : new JoinedCache(rows.stream().map(row -> row.blocks.get(number)).toList());
  }

  /// Whether the sequences may differ in length.
  boolean isJoined() {
    return rows.size() > 1;
  }

  /// The places of `tokens` behind what the sequences have seen. Shapes: `[B, T] → [B, T]`.
  Tensor nextPositions(Tensor tokens) {
    int each = Math.toIntExact(tokens.dim(1));
    int[] places = new int[rows.size() * each];
    for (int i = 0; i < places.length; i++) {
      places[i] = Math.toIntExact(rows.get(i / each).length()) + i % each;
    }
    return Tensors.on(model.backend()).of(places, Shape.of(rows.size(), each));
  }

  /// Gives the memory back, unless it is that of joined caches.
  @Override
  public void close() {
    blocks.forEach(KeyValueCache::close);
  }
}
