package fornax.tensor;

import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.backend.NdArray;
import fornax.backend.Unary;
import org.jspecify.annotations.Nullable;

/// `y = activation(x·w + bias)` over the last axis. With `d = dy ⊙ activation′`: `dx = d·wᵀ`, `dw =
/// xᵀ·d`, `dbias = Σ d`.
final class LinearOp {
  private LinearOp() {}

  static Tensor apply(Tensor x, Tensor w, @Nullable Tensor bias, @Nullable Unary activation) {
    Tensor[] inputs = bias == null ? new Tensor[] {x, w} : new Tensor[] {x, w, bias};
    try (var call = Call.of("linear", inputs)) {
      check(call, x, w, bias);
      long width = w.dim(1);
      long rows = x.elements() / Math.max(1, x.dim(-1));
      NdArray flat = flat(call, x, rows);
      NdArray y = call.allocate(x.dtype(), x.shape().with(-1, width));
      NdArray flatY = y.reshape(Shape.of(rows, width));
      boolean readsX = activation != null && activation.gradientReads() != Unary.Reads.Y;
      NdArray before = call.recording && readsX ? call.allocate(x.dtype(), flatY.shape()) : null;
      call.backend.linear(
          flat, w.array(), bias == null ? null : bias.array(), activation, flatY, before);
      if (activation == null) {
        return call.result(
            y, g -> gradient(g, g.contiguousDy().reshape(flatY.shape())), flat, w.array());
      }
      NdArray kept = before == null ? flatY : before;
      boolean both = activation.gradientReads() == Unary.Reads.X_AND_Y;
      return call.result(
          y, g -> activationGradient(g, activation), flat, w.array(), kept, both ? flatY : kept);
    }
  }

  private static void check(Call call, Tensor x, Tensor w, @Nullable Tensor bias) {
    call.needFloating(x);
    call.needFloating(w);
    if (x.rank() == 0 || w.rank() != 2 || x.dim(-1) != w.dim(0)) {
      throw new ShapeException(
          "linear: x and w do not fit; got x "
              + x.shape()
              + " and w "
              + w.shape()
              + "; need x [.., K] and w [K, M]"
              + (w.rank() == 2 && x.rank() > 0 && x.dim(-1) == w.dim(1)
                  ? "; did you mean w.transpose()?"
                  : ""));
    }
    if (bias != null) {
      call.needFloating(bias);
    }
    if (bias != null && !bias.shape().equals(Shape.of(w.dim(1)))) {
      throw new ShapeException(
          "linear: bias and w do not fit; got bias "
              + bias.shape()
              + " and w "
              + w.shape()
              + "; need bias ["
              + w.dim(1)
              + "]");
    }
  }

  private static NdArray flat(Call call, Tensor x, long rows) {
    Shape shape = Shape.of(rows, x.dim(-1));
    NdArray view = x.array().tryReshape(shape);
    return view != null ? view : call.contiguous(x).reshape(shape);
  }

  private static void activationGradient(Backprop g, Unary activation) {
    NdArray before = g.saved(2);
    NdArray whole = g.contiguousDy();
    NdArray dy = whole.reshape(before.shape());
    NdArray d = g.reuse(whole).reshape(before.shape());
    Backprop.@Nullable Target bias = biasTarget(g);
    g.backend()
        .biasActivationGradient(
            activation,
            before,
            g.saved(3),
            dy,
            d,
            bias == null ? null : bias.array(),
            bias != null && bias.accumulate());
    products(g, d);
  }

  private static void gradient(Backprop g, NdArray dy) {
    Backprop.@Nullable Target bias = biasTarget(g);
    if (bias != null) {
      g.backend().biasActivationGradient(null, null, null, dy, dy, bias.array(), bias.accumulate());
    }
    products(g, dy);
  }

  private static Backprop.@Nullable Target biasTarget(Backprop g) {
    return g.inputs() == 3 && g.wants(2) ? g.target(2) : null;
  }

  private static void products(Backprop g, NdArray d) {
    NdArray x = g.saved(0);
    NdArray w = g.saved(1);
    if (g.wants(0)) {
      Backprop.Target dx = g.rowMajorTarget(0);
      g.backend().matmul(d, w.transpose(), dx.array().reshape(x.shape()), dx.accumulate());
    }
    MatmulOp.product(g, 1, x.transpose(), d);
  }
}
