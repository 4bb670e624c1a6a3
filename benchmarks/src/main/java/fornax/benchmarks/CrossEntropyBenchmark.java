package fornax.benchmarks;

import fornax.backend.CrossEntropyOptions;
import fornax.backend.NdArray;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/// Cross entropy of rows of logits, and its gradient.
@SuppressWarnings("NullAway.Init") // by prepare()
public class CrossEntropyBenchmark extends OpBenchmark {
  @Param({"768x65", "4096x65", "256x50257"})
  public String size;

  private NdArray x;
  private NdArray targets;
  private NdArray losses;
  private NdArray logSumExp;
  private NdArray dLosses;
  private NdArray dx;

  @Override
  void prepare() {
    long[] d = dims(size);
    x = normal(d);
    targets = below(Math.toIntExact(d[1]), d[0]);
    losses = empty(d[0]);
    logSumExp = empty(d[0]);
    dLosses = normal(d[0]);
    dx = empty(d);
    backend().crossEntropy(x, targets, CrossEntropyOptions.DEFAULT, losses, logSumExp);
  }

  @Benchmark
  public void forward() {
    backend().crossEntropy(x, targets, CrossEntropyOptions.DEFAULT, losses, logSumExp);
    done();
  }

  @Benchmark
  public void backward() {
    backend().crossEntropyGradient(x, targets, CrossEntropyOptions.DEFAULT, logSumExp, dLosses, dx);
    done();
  }

  @Override
  Work work(String method) {
    return Work.bytes(bytes(method.equals("forward") ? 1 : 2, dims(size)))
        .andFlops(Work.EXP * elements(dims(size)));
  }
}
