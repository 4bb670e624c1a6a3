package fornax.tensor;

import fornax.backend.NdArray;

/// Softmax and its logarithm: `dx = y ⊙ (dy − Σ dy⊙y)` and `dx = dy − exp(y)·Σ dy`.
final class SoftmaxOp {
  private SoftmaxOp() {}

  static Tensor softmax(Tensor x, int axis) {
    try (var call = Call.of("softmax", x)) {
      call.needFloating(x);
      int at = x.shape().axis("softmax", axis);
      NdArray y = call.allocate(x.dtype(), x.shape());
      call.backend.softmax(call.contiguous(x), at, y);
      return call.result(
          y,
          g -> {
            NdArray dx = g.like(0);
            g.backend().softmaxGradient(g.saved(0), g.contiguousDy(), at, dx);
            g.give(0, dx);
          },
          y);
    }
  }

  static Tensor logSoftmax(Tensor x, int axis) {
    try (var call = Call.of("logSoftmax", x)) {
      call.needFloating(x);
      int at = x.shape().axis("logSoftmax", axis);
      NdArray y = call.allocate(x.dtype(), x.shape());
      call.backend.logSoftmax(call.contiguous(x), at, y);
      return call.result(
          y,
          g -> {
            NdArray dx = g.like(0);
            g.backend().logSoftmaxGradient(g.saved(0), g.contiguousDy(), at, dx);
            g.give(0, dx);
          },
          y);
    }
  }
}
