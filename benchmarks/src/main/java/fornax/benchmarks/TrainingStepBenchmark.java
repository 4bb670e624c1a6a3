package fornax.benchmarks;

import fornax.nn.Precision;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/// Whole training steps; `fornax bench --train` tells more of them.
@SuppressWarnings("NullAway.Init") // by prepare()
public class TrainingStepBenchmark extends OpBenchmark {
  @Param({"nano", "baby", "gpt2"})
  public String size;

  @Param({"f32", "bf16"})
  public String precision = "f32";

  private TrainingStep training;

  @Override
  void prepare() {
    training = new TrainingStep(backend(), TrainingShape.parse(size), Precision.of(precision));
  }

  @Override
  void release() {
    training.close();
  }

  @Benchmark
  public long step() {
    return training.run(false).total();
  }

  @Override
  Work work(String method) {
    return Work.products(TrainingShape.parse(size).flops(), 0);
  }
}
