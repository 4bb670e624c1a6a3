package fornax.benchmarks;

import fornax.array.Shape;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.GptCache;
import fornax.models.gpt.GptConfig;
import fornax.nn.Weights;
import fornax.tensor.Scope;
import fornax.tensor.Tensors;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Param;

/// Reading a prompt of 512 tokens by GPT-2 124M; one operation is one token.
@SuppressWarnings("NullAway.Init") // by prepare()
public class PrefillBenchmark extends OpBenchmark {
  static final int TOKENS = 512;
  private static final long SEED = 1;

  /// The precision.
  @Param({"f32", "bf16"})
  public String size;

  private final int[] prompt = new int[TOKENS];
  private Gpt model;
  private GptCache cache;

  @Override
  void prepare() {
    model = new Gpt(DecodeBenchmark.config(), Weights.on(backend(), SEED));
    model.computeIn(DecodeBenchmark.precision(size));
    model.eval();
    cache = new GptCache(model, 1, TOKENS);
  }

  @Override
  void release() {
    cache.close();
    model.close();
  }

  @Benchmark
  @OperationsPerInvocation(TOKENS)
  public float token() {
    cache.clear();
    try (var _ = Scope.open()) {
      var tokens = Tensors.on(backend()).of(prompt, Shape.of(1, TOKENS));
      return model.nextLogits(tokens, cache).toFloatArray()[0];
    }
  }

  /// Two operations for each weight of a block and each token, and those of attention, half of
  /// which is masked; the output head is for the last token alone.
  @Override
  Work work(String method) {
    GptConfig config = DecodeBenchmark.config();
    double c = config.width();
    double each = config.layers() * (24 * c * c + 2 * c * TOKENS);
    return Work.products(each, DecodeBenchmark.parameterBytes(size) / TOKENS);
  }
}
