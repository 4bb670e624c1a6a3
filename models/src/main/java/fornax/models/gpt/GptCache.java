package fornax.models.gpt;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.nn.KeyValueCache;
import fornax.nn.Precision;
import java.util.ArrayList;
import java.util.List;

/// What a [Gpt] keeps of the positions that it has seen: the keys and values of each block, for
/// `batch` sequences of at most the model's context.
public final class GptCache implements AutoCloseable {
  private final List<KeyValueCache> blocks = new ArrayList<>();

  /// An empty cache, of `2 · layers · batch · context · width` elements.
  public GptCache(Gpt model, int batch) {
    GptConfig config = model.config();
    DType type = model.precision() == Precision.BF16 ? DType.BF16 : DType.F32;
    Shape shape =
        Shape.of(batch, config.heads(), config.context(), config.width() / config.heads());
    try {
      for (int i = 0; i < config.layers(); i++) {
        blocks.add(new KeyValueCache(model.backend(), type, shape));
      }
    } catch (Throwable e) {
      close();
      throw e;
    }
  }

  /// The positions seen.
  public long length() {
    return blocks.getFirst().length();
  }

  KeyValueCache block(int number) {
    return blocks.get(number);
  }

  @Override
  public void close() {
    blocks.forEach(KeyValueCache::close);
  }
}
