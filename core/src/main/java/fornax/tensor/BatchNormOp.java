package fornax.tensor;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.backend.Backend;
import fornax.backend.NdArray;
import java.util.Arrays;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Normalisation of each channel over a batch; gradients as in [fornax.backend.Backend].
final class BatchNormOp {
  private BatchNormOp() {}

  static Tensor.BatchNormalized train(
      Tensor x, @Nullable Tensor weight, @Nullable Tensor bias, double epsilon) {
    Tensor[] inputs = inputs(x, weight, bias);
    try (var call = Call.of("batchNorm", inputs)) {
      check(call, x, weight, bias);
      Shape planes = planes(x);
      if (planes.dim(0) * planes.dim(2) == 1) {
        throw new ShapeException(
            "batchNorm: one element in each channel; got "
                + x.shape()
                + "; need more, whose deviation can be taken");
      }
      DType type = Backend.arithmetic(x.array());
      NdArray images = call.contiguous(x).reshape(planes);
      NdArray y = call.allocate(x.dtype(), x.shape());
      NdArray mean = call.allocate(type, Shape.of(x.dim(1)));
      NdArray variance = call.allocate(type, Shape.of(x.dim(1)));
      NdArray w = weight == null ? null : call.contiguous(weight);
      NdArray shift = bias == null ? null : call.contiguous(bias);
      call.backend.batchNorm(images, w, shift, epsilon, y.reshape(planes), mean, variance);
      int biasInput = bias == null ? -1 : inputs.length - 1;
      GradientRule rule = g -> gradient(g, weight == null ? -1 : 1, biasInput, epsilon);
      Tensor values =
          w == null
              ? call.result(y, rule, images, mean, variance)
              : call.result(y, rule, images, mean, variance, w);
      return new Tensor.BatchNormalized(values, call.result(mean), call.result(variance));
    }
  }

  private static void gradient(Backprop g, int weightInput, int biasInput, double epsilon) {
    NdArray images = g.saved(0);
    NdArray dx = g.wants(0) ? g.like(0) : null;
    Backprop.@Nullable Target dw =
        weightInput < 0 || !g.wants(weightInput) ? null : g.rowMajorTarget(weightInput);
    Backprop.@Nullable Target db =
        biasInput < 0 || !g.wants(biasInput) ? null : g.rowMajorTarget(biasInput);
    boolean accumulate = NormOp.zeroIfOneIsNew(g, dw, db);
    g.backend()
        .batchNormGradient(
            images,
            weightInput < 0 ? null : g.saved(3),
            epsilon,
            g.saved(1),
            g.saved(2),
            g.contiguousDy().reshape(images.shape()),
            dx == null ? null : dx.reshape(images.shape()),
            dw == null ? null : dw.array(),
            db == null ? null : db.array(),
            accumulate);
    if (dx != null) {
      g.give(0, dx);
    }
  }

  static Tensor evaluate(
      Tensor x,
      @Nullable Tensor weight,
      @Nullable Tensor bias,
      Tensor mean,
      Tensor variance,
      double epsilon) {
    try (var inner = Scope.open();
        var call = Call.of("batchNorm", inputs(x, weight, bias))) {
      check(call, x, weight, bias);
      check(call, x, mean, variance);
      long[] channels = new long[x.rank()];
      Arrays.fill(channels, 1);
      channels[1] = x.dim(1);
      Tensor factor = variance.add(epsilon).rsqrt();
      Tensor scale = weight == null ? factor : factor.mul(weight);
      Tensor y = x.sub(mean.reshape(channels)).mul(scale.reshape(channels));
      return inner.keep(bias == null ? y : y.add(bias.reshape(channels)));
    }
  }

  private static Tensor[] inputs(Tensor x, @Nullable Tensor weight, @Nullable Tensor bias) {
    return Stream.of(Optional.of(x), Optional.ofNullable(weight), Optional.ofNullable(bias))
        .flatMap(Optional::stream)
        .toArray(Tensor[]::new);
  }

  private static void check(Call call, Tensor x, @Nullable Tensor... perChannel) {
    call.needFloating(x);
    if (x.rank() < 2) {
      throw new ShapeException("batchNorm: no channels; got " + x.shape() + "; need [N, C, ..]");
    }
    Shape channels = Shape.of(x.dim(1));
    for (Tensor vector : perChannel) {
      if (vector != null) {
        call.needFloating(vector);
      }
      if (vector != null && !vector.shape().equals(channels)) {
        throw new ShapeException(
            "batchNorm: a number for each channel is needed; got "
                + vector.shape()
                + " for x "
                + x.shape()
                + "; need "
                + channels);
      }
    }
  }

  // [N, C, L]: all axes behind the channels in one.
  private static Shape planes(Tensor x) {
    long inner = 1;
    for (int axis = 2; axis < x.rank(); axis++) {
      inner *= x.dim(axis);
    }
    return Shape.of(x.dim(0), x.dim(1), inner);
  }
}
