package fornax.tensor;

import fornax.array.Broadcast;
import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.backend.NdArray;

/// `y = a·b`: `da = dy·bᵀ`, `db = aᵀ·dy`, summed over broadcast batch axes.
final class MatmulOp {
  private MatmulOp() {}

  /// With PyTorch's rules: vectors become matrices and the added axis is dropped again.
  static Tensor apply(Tensor a, Tensor b) {
    if (a.rank() == 0 || b.rank() == 0) {
      throw new ShapeException(
          "matmul: a scalar; got a "
              + a.shape()
              + " and b "
              + b.shape()
              + "; need at least one axis each; did you mean mul?");
    }
    if (a.rank() == 1 && b.rank() == 1) {
      return matrices(a.unsqueeze(0), b.unsqueeze(1)).reshape();
    }
    if (a.rank() == 1) {
      return matrices(a.unsqueeze(0), b).squeeze(-2);
    }
    if (b.rank() == 1) {
      return matrices(a, b.unsqueeze(1)).squeeze(-1);
    }
    if (a.rank() > 2
        && b.rank() == 2
        && a.array().tryReshape(Shape.of(a.elements() / Math.max(1, a.dim(-1)), a.dim(-1))) != null
        && a.dim(-1) == b.dim(0)
        && a.elements() > 0) {
      return matrices(a.reshape(-1, a.dim(-1)), b).reshape(a.shape().with(-1, b.dim(1)).toArray());
    }
    return matrices(a, b);
  }

  private static Tensor matrices(Tensor a, Tensor b) {
    try (var call = Call.of("matmul", a, b)) {
      call.needFloating(a);
      call.needFloating(b);
      if (a.dim(-1) != b.dim(-2)) {
        throw new ShapeException(
            "matmul: inner dimensions differ: a "
                + a.shape()
                + " · b "
                + b.shape()
                + " ("
                + a.dim(-1)
                + " ≠ "
                + b.dim(-2)
                + ")"
                + hint(a, b));
      }
      Shape batch = Broadcast.shapes("matmul", a.shape().leading(-2), b.shape().leading(-2));
      NdArray x = a.array().expand(batch.concat(a.shape().trailing(2)));
      NdArray z = b.array().expand(batch.concat(b.shape().trailing(2)));
      NdArray y =
          call.allocate(
              a.dtype() == b.dtype() ? a.dtype() : fornax.array.DType.F32,
              batch.concat(Shape.of(a.dim(-2), b.dim(-1))));
      call.backend.matmul(x, z, y, false);
      return call.result(y, MatmulOp::gradient, x, z);
    }
  }

  private static String hint(Tensor a, Tensor b) {
    if (a.dim(-1) == b.dim(-1)) {
      return "; did you mean b.transpose()?";
    }
    return a.dim(-2) == b.dim(-2)
        ? "; did you mean a.transpose()?"
        : "; need a's last size equal to b's last but one";
  }

  private static void gradient(Backprop g) {
    product(g, 0, g.dy(), g.saved(1).transpose());
    product(g, 1, g.saved(0).transpose(), g.dy());
  }

  /// Gives input `input` the gradient `a·b`.
  static void product(Backprop g, int input, NdArray a, NdArray b) {
    if (!g.wants(input)) {
      return;
    }
    Shape shape = a.shape().with(-1, b.dim(-1));
    if (shape.equals(g.shape(input))) {
      Backprop.Target target = g.target(input);
      g.backend().matmul(a, b, target.array(), target.accumulate());
    } else {
      NdArray whole = g.allocate(g.dtype(input), shape);
      g.backend().matmul(a, b, whole, false);
      g.giveReduced(input, whole);
    }
  }
}
