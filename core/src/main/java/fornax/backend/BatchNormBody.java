package fornax.backend;

import static fornax.backend.Binary.ADD;
import static fornax.backend.Binary.MULTIPLY;
import static fornax.backend.Binary.SUBTRACT;
import static fornax.backend.Reduce.SUM;

import fornax.array.DType;
import fornax.array.Shape;
import org.jspecify.annotations.Nullable;

/// The default bodies of batch normalisation, over `x [N, C, L]`.
final class BatchNormBody {
  private final Backend b;
  private final Workspace work;
  private final NdArray x;
  private final DType type;
  private final Shape channels;
  private final double count; // of a channel's elements

  private BatchNormBody(Backend b, Workspace work, NdArray x) {
    this.b = b;
    this.work = work;
    this.x = x;
    this.type = Backend.arithmetic(x);
    this.channels = Shape.of(1, x.dim(1), 1);
    this.count = (double) x.dim(0) * x.dim(2);
  }

  private NdArray perChannel(NdArray vector) {
    return vector.reshape(channels).expand(x.shape());
  }

  // The mean of `values` by channels.
  private void mean(NdArray values, NdArray y) {
    b.reduce(SUM, values, y);
    b.binary(MULTIPLY, y, 1 / count, y);
  }

  // x − mean, and the mean of that taken away as well.
  private NdArray centred(NdArray mean) {
    NdArray centred = work.allocate(type, x.shape());
    NdArray rest = work.allocate(type, channels);
    b.binary(SUBTRACT, x, perChannel(mean), centred);
    mean(centred, rest);
    b.binary(SUBTRACT, centred, rest.expand(x.shape()), centred);
    return centred;
  }

  // 1/√(variance + epsilon)
  private NdArray rstd(NdArray variance, double epsilon) {
    NdArray rstd = work.allocate(type, variance.shape());
    b.binary(ADD, variance, epsilon, rstd);
    b.unary(Unary.RSQRT, rstd, rstd);
    return rstd;
  }

  static void forward(
      Backend b,
      NdArray x,
      @Nullable NdArray weight,
      @Nullable NdArray bias,
      double epsilon,
      NdArray y,
      NdArray mean,
      NdArray variance) {
    try (var work = new Workspace(b.memory())) {
      BatchNormBody body = new BatchNormBody(b, work, x);
      body.mean(x, mean.reshape(body.channels));
      NdArray centred = body.centred(mean);
      NdArray square = work.allocate(body.type, x.shape());
      b.unary(Unary.SQUARE, centred, square);
      body.mean(square, variance.reshape(body.channels));
      b.binary(MULTIPLY, centred, body.perChannel(body.rstd(variance, epsilon)), centred);
      if (weight != null) {
        b.binary(MULTIPLY, centred, body.perChannel(weight), centred);
      }
      if (bias != null) {
        b.binary(ADD, centred, body.perChannel(bias), centred);
      }
      b.copy(centred, y);
    }
  }

  static void gradient(
      Backend b,
      NdArray x,
      @Nullable NdArray weight,
      double epsilon,
      NdArray mean,
      NdArray variance,
      NdArray dy,
      @Nullable NdArray dx,
      @Nullable NdArray dWeight,
      @Nullable NdArray dBias,
      boolean accumulate) {
    try (var work = new Workspace(b.memory())) {
      BatchNormBody body = new BatchNormBody(b, work, x);
      NdArray factor = body.rstd(variance, epsilon);
      NdArray normal = body.centred(mean);
      b.binary(MULTIPLY, normal, body.perChannel(factor), normal);
      NdArray product = work.allocate(body.type, x.shape());
      NdArray along = work.allocate(body.type, body.channels); // Σ dy⊙x̂
      NdArray total = work.allocate(body.type, body.channels); // Σ dy
      b.binary(MULTIPLY, dy, normal, product);
      b.reduce(SUM, product, along);
      b.reduce(SUM, dy, total);
      body.give(along, dWeight, accumulate);
      body.give(total, dBias, accumulate);
      if (dx != null) {
        b.binary(MULTIPLY, along, 1 / body.count, along);
        b.binary(MULTIPLY, total, 1 / body.count, total);
        b.binary(MULTIPLY, normal, along.expand(x.shape()), normal);
        b.binary(SUBTRACT, dy, total.expand(x.shape()), product);
        b.binary(SUBTRACT, product, normal, product);
        if (weight != null) {
          b.binary(MULTIPLY, factor, weight, factor);
        }
        b.binary(MULTIPLY, product, body.perChannel(factor), dx);
      }
    }
  }

  private void give(NdArray sum, @Nullable NdArray y, boolean accumulate) {
    if (y == null) {
      return;
    }
    NdArray to = y.reshape(channels);
    if (accumulate) {
      b.binary(ADD, to, sum, to);
    } else {
      b.copy(sum, to);
    }
  }
}
