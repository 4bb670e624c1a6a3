package fornax.benchmarks;

import fornax.backend.NdArray;
import fornax.backend.Unary;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/// GELU in the tanh form, and its gradient.
@SuppressWarnings("NullAway.Init") // by prepare()
public class GeluBenchmark extends OpBenchmark {
  @Param({"768x512", "256x3072", "4096x1536"})
  public String size;

  private NdArray x;
  private NdArray y;
  private NdArray dy;
  private NdArray dx;

  @Override
  void prepare() {
    long[] d = dims(size);
    x = normal(d);
    y = empty(d);
    dy = normal(d);
    dx = empty(d);
    backend().unary(Unary.GELU_TANH, x, y);
  }

  @Benchmark
  public void forward() {
    backend().unary(Unary.GELU_TANH, x, y);
    done();
  }

  @Benchmark
  public void backward() {
    backend().unaryGradient(Unary.GELU_TANH, x, y, dy, dx);
    done();
  }

  @Override
  Work work(String method) {
    return Work.bytes(bytes(method.equals("forward") ? 2 : 3, dims(size)))
        .andFlops(Work.GELU * elements(dims(size)));
  }
}
