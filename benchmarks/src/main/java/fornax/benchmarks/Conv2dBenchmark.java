package fornax.benchmarks;

import fornax.backend.Conv2dOptions;
import fornax.backend.NdArray;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/// Convolution of square images and its gradients, with padding that keeps their size. Sizes are
/// `NxCxHxOxK`: N images, C channels, H high and wide, O filters, K high and wide.
@SuppressWarnings("NullAway.Init") // by prepare()
public class Conv2dBenchmark extends OpBenchmark {
  @Param({"128x1x28x32x3", "128x32x14x64x3", "128x16x14x32x5", "128x64x7x128x3"})
  public String size;

  private Conv2dOptions options;
  private NdArray x;
  private NdArray w;
  private NdArray bias;
  private NdArray y;
  private NdArray dx;

  @Override
  void prepare() {
    long[] d = dims(size);
    options = Conv2dOptions.DEFAULT.withPadding((int) d[4] / 2);
    x = normal(d[0], d[1], d[2], d[2]);
    w = normal(d[3], d[1], d[4], d[4]);
    bias = normal(d[3]);
    y = normal(d[0], d[3], d[2], d[2]);
    dx = empty(d[0], d[1], d[2], d[2]);
  }

  @Benchmark
  public void forward() {
    backend().conv2d(x, w, bias, options, y);
    done();
  }

  @Benchmark
  public void inputGradient() {
    backend().conv2dInputGradient(y, w, options, dx);
    done();
  }

  @Benchmark
  public void weightGradient() {
    backend().conv2dWeightGradient(x, y, options, w, false);
    done();
  }

  @Override
  Work work(String method) {
    long[] d = dims(size);
    double moved =
        bytes(1, d[0], d[1], d[2], d[2])
            + bytes(1, d[0], d[3], d[2], d[2])
            + bytes(1, d[3], d[1], d[4], d[4]);
    return Work.products(2.0 * d[0] * d[2] * d[2] * d[3] * d[1] * d[4] * d[4], moved);
  }
}
