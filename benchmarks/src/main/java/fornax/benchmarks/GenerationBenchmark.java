package fornax.benchmarks;

import fornax.models.gpt.Gpt;
import fornax.models.gpt.GptConfig;
import fornax.models.gpt.Sampling;
import fornax.models.gpt.TextGenerator;
import fornax.nn.Weights;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Param;

/// Tokens of generated text, each the likeliest; one operation is one token. Each token must read
/// every parameter once.
@SuppressWarnings("NullAway.Init") // by prepare()
public class GenerationBenchmark extends OpBenchmark {
  static final int TOKENS = 16;
  private static final long SEED = 1;

  @Param({"nano", "gpt2"})
  public String size;

  private Gpt model;
  private TextGenerator generator;
  private final int[] prompt = new int[TOKENS];

  @Override
  void prepare() {
    model = new Gpt(config(), Weights.on(backend(), SEED));
    generator = new TextGenerator(model);
  }

  private GptConfig config() {
    return TrainingShape.parse(size).model();
  }

  @Override
  void release() {
    model.close();
  }

  @Benchmark
  @OperationsPerInvocation(TOKENS)
  public int[] token() {
    return generator.generate(prompt, TOKENS, Sampling.GREEDY);
  }

  @Override
  Work work(String method) {
    return Work.bytes(bytes(1, config().parameterCount()));
  }
}
