package fornax.tensor;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.backend.NdArray;

/// Sorting, the largest elements, and drawing by weight. Values have the gradient of the elements
/// they were taken from; indices have none.
final class SampleOp {
  private SampleOp() {}

  static Tensor.TopK topK(Tensor x, int k) {
    try (var call = Call.of("topK", x)) {
      call.needFloating(x);
      if (x.rank() == 0 || k < 1 || k > x.dim(-1)) {
        throw new ShapeException(
            "topK: k outside the last axis; got k "
                + k
                + " of "
                + x.shape()
                + "; need 1 <= k <= its size");
      }
      Shape shape = x.shape().with(-1, k);
      NdArray values = call.allocate(x.dtype(), shape);
      NdArray indices = call.allocate(DType.I32, shape);
      call.backend.topK(call.contiguous(x), values, indices);
      return new Tensor.TopK(taken(call, x, values, indices), call.result(indices));
    }
  }

  static Tensor.Sorted sort(Tensor x, boolean descending) {
    try (var call = Call.of("sort", x)) {
      call.needFloating(x);
      if (x.rank() == 0) {
        throw new ShapeException("sort: a scalar; need at least one axis");
      }
      NdArray values = call.allocate(x.dtype(), x.shape());
      NdArray indices = call.allocate(DType.I32, x.shape());
      call.backend.sort(call.contiguous(x), descending, values, indices);
      return new Tensor.Sorted(taken(call, x, values, indices), call.result(indices));
    }
  }

  private static Tensor taken(Call call, Tensor x, NdArray values, NdArray indices) {
    int last = x.rank() - 1;
    return call.result(
        values, g -> g.backend().scatterAdd(g.dy(), last, g.saved(0), g.zeroedTarget(0)), indices);
  }

  static Tensor multinomial(Tensor weights, Generator generator) {
    try (var call = Call.of("multinomial", weights)) {
      call.needFloating(weights);
      if (weights.rank() == 0 || weights.dim(-1) == 0) {
        throw new ShapeException(
            "multinomial: no weights; got "
                + weights.shape()
                + "; need [.., classes] with a class");
      }
      long classes = weights.dim(-1);
      NdArray w = call.contiguous(weights).reshape(Shape.of(weights.elements() / classes, classes));
      NdArray y = call.allocate(DType.I32, weights.shape().leading(-1));
      call.backend.multinomial(
          w,
          generator.state(call.op, call.backend),
          generator.nextStream(),
          y.reshape(Shape.of(w.dim(0))));
      return call.result(y);
    }
  }
}
