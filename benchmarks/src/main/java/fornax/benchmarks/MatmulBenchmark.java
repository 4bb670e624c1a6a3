package fornax.benchmarks;

import fornax.array.DType;
import fornax.backend.NdArray;
import fornax.backend.Unary;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/// `y = x·w` and the products of its gradients, in F32. Sizes are `MxKxN`: M rows, K in, N out.
@SuppressWarnings("NullAway.Init") // by prepare()
public class MatmulBenchmark extends OpBenchmark {
  @Param({
    "384x384x384",
    "768x768x768",
    "1536x1536x1536",
    "256x768x2304",
    "256x768x3072",
    "256x3072x768",
    "4096x384x1536",
    "256x768x50257",
  })
  public String size;

  private NdArray x;
  private NdArray w;
  private NdArray bias;
  private NdArray y;
  private NdArray before;
  private NdArray dw;

  /// The type of matrices; a bias, and the gradient of a weight, are F32.
  DType type() {
    return DType.F32;
  }

  @Override
  void prepare() {
    long[] d = dims(size);
    x = as(type(), normal(d[0], d[1]));
    w = as(type(), normal(d[1], d[2]));
    bias = normal(d[2]);
    y = as(type(), normal(d[0], d[2]));
    before = as(type(), empty(d[0], d[2]));
    dw = type() == DType.F32 ? w : zeros(d[1], d[2]);
  }

  /// `y = x·w`.
  @Benchmark
  public void forward() {
    backend().matmul(x, w, y, false);
    done();
  }

  /// `y = gelu(x·w + bias)`, keeping what went into the GELU.
  @Benchmark
  public void linearGelu() {
    backend().linear(x, w, bias, Unary.GELU_TANH, y, before);
    done();
  }

  /// `dx = dy·wᵀ`.
  @Benchmark
  public void inputGradient() {
    backend().matmul(y, w.transpose(), x, false);
    done();
  }

  /// `dw += xᵀ·dy`.
  @Benchmark
  public void weightGradient() {
    backend().matmul(x.transpose(), y, dw, true);
    done();
  }

  @Override
  Work work(String method) {
    long[] d = dims(size);
    long x = d[0] * d[1];
    long w = d[1] * d[2];
    long y = d[0] * d[2];
    double moved =
        switch (method) {
          case "linearGelu" -> (double) type().bytes() * (x + w + 2 * y);
          case "weightGradient" -> (double) type().bytes() * (x + y) + 2.0 * Float.BYTES * w;
          default -> (double) type().bytes() * (x + w + y);
        };
    return Work.products(2.0 * d[0] * d[1] * d[2], moved);
  }
}
