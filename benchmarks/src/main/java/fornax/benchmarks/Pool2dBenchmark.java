package fornax.benchmarks;

import fornax.array.DType;
import fornax.backend.NdArray;
import fornax.backend.Owner;
import fornax.backend.Pool2dOptions;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/// The largest elements and the means of windows of 2 × 2 side by side, and their gradients.
@SuppressWarnings("NullAway.Init") // by prepare()
public class Pool2dBenchmark extends OpBenchmark {
  private static final Pool2dOptions OPTIONS = Pool2dOptions.of(2);

  @Param({"128x32x28x28"})
  public String size;

  private NdArray x;
  private NdArray y;
  private NdArray places;
  private NdArray dx;

  @Override
  void prepare() {
    long[] d = dims(size);
    x = normal(d);
    y = normal(d[0], d[1], d[2] / 2, d[3] / 2);
    places = backend().memory().allocate(DType.I32, y.shape(), Owner.WORKSPACE);
    dx = empty(d);
    backend().maxPool2d(x, OPTIONS, y, places);
  }

  @Benchmark
  public void max() {
    backend().maxPool2d(x, OPTIONS, y, places);
    done();
  }

  @Benchmark
  public void maxGradient() {
    backend().maxPool2dGradient(places, y, OPTIONS, dx);
    done();
  }

  @Benchmark
  public void mean() {
    backend().avgPool2d(x, OPTIONS, y);
    done();
  }

  @Benchmark
  public void meanGradient() {
    backend().avgPool2dGradient(y, OPTIONS, dx);
    done();
  }

  @Override
  Work work(String method) {
    double outputs = method.startsWith("max") ? 0.5 : 0.25; // values, and places of the largest
    return Work.bytes((1 + outputs) * bytes(1, dims(size)));
  }
}
