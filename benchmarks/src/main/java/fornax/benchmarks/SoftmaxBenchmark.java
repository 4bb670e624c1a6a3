package fornax.benchmarks;

import fornax.backend.NdArray;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/// Softmax of rows and its gradient.
@SuppressWarnings("NullAway.Init") // by prepare()
public class SoftmaxBenchmark extends OpBenchmark {
  @Param({"256x256", "4096x256", "256x50257"})
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
    backend().softmax(x, 1, y);
  }

  @Benchmark
  public void forward() {
    backend().softmax(x, 1, y);
    done();
  }

  @Benchmark
  public void backward() {
    backend().softmaxGradient(y, dy, 1, dx);
    done();
  }

  @Override
  Work work(String method) {
    return method.equals("forward")
        ? Work.bytes(bytes(2, dims(size))).andFlops(Work.EXP * elements(dims(size)))
        : Work.bytes(bytes(3, dims(size)));
  }
}
