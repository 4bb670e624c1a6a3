package fornax.cuda;

import fornax.array.DType;
import fornax.array.Layout;
import fornax.array.Shape;
import fornax.backend.NdArray;
import fornax.backend.Workspace;

/// Launches of `gather.cu`, `scatteradd.cu` and `embedding.cu`.
final class Indexing {
  private final CudaDevice device;
  private final Elementwise elementwise;

  Indexing(CudaDevice device, Elementwise elementwise) {
    this.device = device;
    this.elementwise = elementwise;
  }

  void gather(NdArray x, int axis, NdArray indices, NdArray y) {
    if (y.elements() == 0) {
      return;
    }
    int ticket = device.indexErrors().ticket("gather", indices.layout(), x.dim(axis));
    long[] strides = x.layout().strides();
    strides[x.shape().axis("gather", axis)] = 0;
    Layout rows = Layout.of(y.shape(), strides, x.layout().offset());
    for (StridedLoop loop : StridedLoop.of(indices.layout(), rows, y.layout()).pieces()) {
      device
          .kernel("gather", "gather", "gather_" + y.dtype().bytes())
          .arrayAt(indices, loop.offsets()[0])
          .arrayAt(x, loop.offsets()[1])
          .arrayAt(y, loop.offsets()[2])
          .number(x.layout().stride(axis))
          .size(x.dim(axis))
          .number(loop.first())
          .loop(loop)
          .size(loop.elements())
          .address(device.errorAddress())
          .integer(ticket)
          .threads(loop.elements());
    }
  }

  void scatterAdd(NdArray x, int axis, NdArray indices, NdArray y) {
    if (x.elements() == 0) {
      return;
    }
    if (y.dtype() != DType.F32) { // so that each sum is rounded once
      try (var work = new Workspace(device.memory())) {
        NdArray sums = work.allocate(DType.F32, y.shape());
        elementwise.copy(y, sums);
        scatterAdd(x, axis, indices, sums);
        elementwise.copy(sums, y);
      }
      return;
    }
    int at = x.shape().axis("scatterAdd", axis);
    int ticket = device.indexErrors().ticket("scatterAdd", indices.layout(), y.dim(at));
    StridedLoop whole =
        StridedLoop.of(
            StridedLoop.without(indices.layout(), at),
            StridedLoop.without(x.layout(), at),
            Layout.of(
                x.shape().without(at),
                StridedLoop.without(y.layout(), at).strides(),
                y.layout().offset()));
    long inner = 1;
    for (int i = at + 1; i < x.rank(); i++) {
      inner *= x.dim(i);
    }
    if (whole.pieces().size() > 1) {
      throw new IllegalArgumentException(
          "scatterAdd: too many rows for one launch; got " + x.shape() + " along axis " + axis);
    }
    device
        .kernel("scatterAdd", "scatteradd", "scatter_add")
        .arrayAt(indices, whole.offsets()[0])
        .arrayAt(x, whole.offsets()[1])
        .integer(CudaDevice.type(x))
        .arrayAt(y, whole.offsets()[2])
        .number(indices.layout().stride(at))
        .number(x.layout().stride(at))
        .number(y.layout().stride(at))
        .size(x.dim(at))
        .size(y.dim(at))
        .size(inner)
        .loop(whole)
        .size(whole.elements())
        .address(device.errorAddress())
        .integer(ticket)
        .threads(whole.elements());
  }

  /// Whether there was a kernel for these operands.
  boolean embedding(NdArray table, NdArray indices, NdArray y) {
    if (table.dtype() != y.dtype() || !y.dtype().isFloating()) {
      return false;
    }
    if (y.elements() > 0) {
      device
          .kernel("embedding", "embedding", "embedding_" + Elementwise.lower(y.dtype()))
          .array(table)
          .array(indices)
          .array(y)
          .size(table.dim(0))
          .size(table.dim(1))
          .address(device.errorAddress())
          .integer(device.indexErrors().ticket("embedding", indices.layout(), table.dim(0)))
          .run(indices.elements(), 1, 1, 256, 1);
    }
    return true;
  }

  /// Whether there was a kernel for these operands.
  boolean embeddingGradient(NdArray dy, NdArray indices, NdArray dTable) {
    if (dTable.dtype() != DType.F32 || !dy.dtype().isFloating()) {
      return false;
    }
    if (dy.elements() > 0) {
      Shape table = dTable.shape();
      device
          .kernel(
              "embeddingGradient",
              "embedding",
              "embedding_gradient_" + Elementwise.lower(dy.dtype()))
          .array(dy)
          .array(indices)
          .array(dTable)
          .size(indices.elements())
          .size(table.dim(0))
          .size(table.dim(1))
          .address(device.errorAddress())
          .integer(device.indexErrors().ticket("embeddingGradient", indices.layout(), table.dim(0)))
          .run(indices.elements(), 1, 1, 256, 1);
    }
    return true;
  }
}
