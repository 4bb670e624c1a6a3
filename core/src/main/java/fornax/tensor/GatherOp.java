package fornax.tensor;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.backend.NdArray;

/// Reading and adding by index: the gradient of the one is the other.
final class GatherOp {
  private GatherOp() {}

  static Tensor gather(Tensor x, int axis, Tensor indices) {
    try (var call = Call.of("gather", x, indices)) {
      int at = check(call, x, axis, indices);
      NdArray y = call.allocate(x.dtype(), indices.shape());
      call.backend.gather(x.array(), at, indices.array(), y);
      return call.result(
          y,
          g -> g.backend().scatterAdd(g.dy(), at, g.saved(0), g.zeroedTarget(0)),
          indices.array());
    }
  }

  static Tensor scatterAdd(Tensor x, int axis, Tensor indices, Tensor source) {
    try (var call = Call.of("scatterAdd", x, indices, source)) {
      int at = check(call, x, axis, indices);
      call.needFloating(x);
      call.need(x.dtype(), "the source", source);
      if (!source.shape().equals(indices.shape())) {
        throw new ShapeException(
            "scatterAdd: source and indices differ; got source "
                + source.shape()
                + " and indices "
                + indices.shape()
                + "; need one shape");
      }
      NdArray y = call.allocate(x.dtype(), x.shape());
      call.backend.copy(x.array(), y);
      call.backend.scatterAdd(source.array(), at, indices.array(), y);
      return call.result(
          y,
          g -> {
            g.pass(0, g.dy());
            if (g.wants(2)) {
              NdArray dSource = g.like(2);
              g.backend().gather(g.dy(), at, g.saved(0), dSource);
              g.give(2, dSource);
            }
          },
          indices.array());
    }
  }

  private static int check(Call call, Tensor x, int axis, Tensor indices) {
    call.need(DType.I32, "the indices", indices);
    int at = x.shape().axis(call.op, axis);
    if (indices.rank() != x.rank() || !indices.shape().with(at, 1).equals(x.shape().with(at, 1))) {
      throw new ShapeException(
          call.op
              + ": indices and array differ outside axis "
              + axis
              + "; got indices "
              + indices.shape()
              + " and array "
              + x.shape()
              + "; need equal sizes everywhere else; expand the indices, or use indexSelect");
    }
    return at;
  }

  static Tensor embedding(Tensor table, Tensor indices) {
    try (var call = Call.of("embedding", table, indices)) {
      call.needFloating(table);
      call.need(DType.I32, "the indices", indices);
      if (table.rank() != 2) {
        throw new ShapeException(
            "embedding: the table is not a matrix; got "
                + table.shape()
                + "; need [entries, width]");
      }
      long width = table.dim(1);
      NdArray flat = call.contiguous(indices).reshape(Shape.of(indices.elements()));
      NdArray y = call.allocate(table.dtype(), indices.shape().concat(Shape.of(width)));
      Shape rows = Shape.of(indices.elements(), width);
      call.backend.embedding(call.contiguous(table), flat, y.reshape(rows));
      return call.result(
          y,
          g -> {
            Backprop.Target dTable = g.rowMajorTarget(0);
            if (!dTable.accumulate()) {
              g.backend().fill(dTable.array(), 0);
            }
            g.backend()
                .embeddingGradient(g.contiguousDy().reshape(rows), g.saved(0), dTable.array());
          },
          flat);
    }
  }
}
