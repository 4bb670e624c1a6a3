package fornax.benchmarks;

import fornax.backend.NdArray;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/// Layer normalisation of rows and its gradients, alone and with the residual sum.
@SuppressWarnings("NullAway.Init") // by prepare()
public class LayerNormBenchmark extends OpBenchmark {
  private static final double EPSILON = 1e-5;

  @Param({"256x768", "768x128", "4096x384", "16384x768"})
  public String size;

  private NdArray x;
  private NdArray weight;
  private NdArray bias;
  private NdArray addend;
  private NdArray sum;
  private NdArray y;
  private NdArray mean;
  private NdArray rstd;
  private NdArray dy;
  private NdArray dx;
  private NdArray dWeight;
  private NdArray dBias;

  @Override
  void prepare() {
    long[] d = dims(size);
    x = normal(d);
    weight = normal(d[1]);
    bias = normal(d[1]);
    addend = normal(d);
    sum = empty(d);
    y = empty(d);
    mean = empty(d[0]);
    rstd = empty(d[0]);
    dy = normal(d);
    dx = empty(d);
    dWeight = zeros(d[1]);
    dBias = zeros(d[1]);
    backend().layerNorm(x, weight, bias, EPSILON, y, mean, rstd);
  }

  @Benchmark
  public void forward() {
    backend().layerNorm(x, weight, bias, EPSILON, y, mean, rstd);
    done();
  }

  @Benchmark
  public void backward() {
    backend().layerNormGradient(x, weight, mean, rstd, dy, dx, dWeight, dBias, true);
    done();
  }

  @Benchmark
  public void addForward() {
    backend().addLayerNorm(x, addend, weight, bias, EPSILON, sum, y, mean, rstd);
    done();
  }

  @Benchmark
  public void addBackward() {
    backend().addLayerNormGradient(x, weight, mean, rstd, dy, addend, dx, dWeight, dBias, true);
    done();
  }

  @Override
  Work work(String method) {
    int arrays =
        switch (method) {
          case "forward" -> 2;
          case "backward" -> 3;
          default -> 4;
        };
    return Work.bytes(bytes(arrays, dims(size)));
  }
}
