package fornax.benchmarks;

import fornax.array.Shape;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.GptCache;
import fornax.models.gpt.GptConfig;
import fornax.nn.Precision;
import fornax.nn.Weights;
import fornax.tensor.Scope;
import fornax.tensor.Tensors;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Param;

/// The next token of several texts that GPT-2 124M writes at a time, behind short prompts; one
/// operation is a token of each, which must read every parameter once.
@SuppressWarnings("NullAway.Init") // by prepare()
public class DecodeBenchmark extends OpBenchmark {
  static final int TOKENS = 16;
  private static final long SEED = 1;

  /// The precision and the number of texts.
  @Param({"f32-1", "f32-4", "f32-16", "bf16-1", "bf16-4", "bf16-16"})
  public String size;

  private Gpt model;
  private GptCache cache;
  private int[] tokens;

  static GptConfig config() {
    return GptConfig.preset("gpt2").withVocabulary(GptConfig.GPT2_VOCABULARY);
  }

  static Precision precision(String size) {
    return size.startsWith("bf16") ? Precision.BF16 : Precision.F32;
  }

  /// The bytes of the parameters that a pass reads.
  static double parameterBytes(String size) {
    return bytes(1, config().parameterCount()) / (precision(size) == Precision.BF16 ? 2 : 1);
  }

  private int texts() {
    return Integer.parseInt(size.substring(size.indexOf('-') + 1));
  }

  @Override
  void prepare() {
    model = new Gpt(config(), Weights.on(backend(), SEED));
    model.computeIn(precision(size));
    model.eval();
    cache = new GptCache(model, texts(), TOKENS);
    tokens = new int[texts()];
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
    float last = 0;
    for (int i = 0; i < TOKENS; i++) {
      try (var _ = Scope.open()) {
        var next = Tensors.on(backend()).of(tokens, Shape.of(tokens.length, 1));
        last = model.nextLogits(next, cache).toFloatArray()[0];
      }
    }
    return last;
  }

  @Override
  Work work(String method) {
    return Work.bytes(parameterBytes(size));
  }
}
