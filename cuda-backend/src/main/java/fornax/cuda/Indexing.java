package fornax.cuda;

import fornax.array.DType;
import fornax.array.Layout;
import fornax.array.Shape;
import fornax.backend.NdArray;
import fornax.backend.Workspace;
import org.jspecify.annotations.Nullable;

/// Launches of `gather.cu`, `scatteradd.cu` and `embedding.cu`.
final class Indexing {
  /// An axis this long is worth sorting its indices, where the other axes have too few threads.
  private static final long SORTED_COUNT = 64;

  /// So many columns keep a card busy by themselves.
  private static final long SORTED_COLUMNS = 1 << 16;

  private final CudaDevice device;
  private final Elementwise elementwise;
  private final Reduction reduction;

  Indexing(CudaDevice device, Elementwise elementwise, Reduction reduction) {
    this.device = device;
    this.elementwise = elementwise;
    this.reduction = reduction;
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

  void scatterAdd(String op, NdArray x, int axis, NdArray indices, NdArray y) {
    if (x.elements() == 0) {
      return;
    }
    if (y.dtype() != DType.F32) { // so that each sum is rounded once
      try (var work = new Workspace(device.memory())) {
        NdArray sums = work.allocate(DType.F32, y.shape());
        elementwise.copy(y, sums);
        scatterAdd(op, x, axis, indices, sums);
        elementwise.copy(sums, y);
      }
      return;
    }
    int at = x.shape().axis(op, axis);
    long count = x.dim(at);
    if (count < SORTED_COUNT || x.elements() / count > SORTED_COLUMNS) {
      scatter(op, x, at, indices, null, y);
      return;
    }
    // The indices without the axes along which they are broadcast, sorted along the axis.
    NdArray few = indices;
    for (int i = 0; i < few.rank(); i++) {
      if (i != at && few.layout().stride(i) == 0 && few.dim(i) > 1) {
        few = few.slice(i, 0, 1);
      }
    }
    NdArray rows = few.swapAxes(at, -1);
    try (var work = new Workspace(device.memory())) {
      NdArray keys = work.allocate(DType.I32, rows.shape());
      NdArray sorted = work.allocate(DType.I32, rows.shape());
      NdArray order = work.allocate(DType.I32, rows.shape());
      elementwise.copy(rows, keys);
      reduction.sort(keys, false, sorted, order);
      NdArray values = sorted.swapAxes(at, -1).expand(x.shape());
      scatter(op, x, at, values, order, y);
    }
  }

  // `order` null: indices are as they are; else they are sorted along the axis, and their places
  // are
  // in order, which lies as they lie.
  private void scatter(
      String op, NdArray x, int at, NdArray indices, @Nullable NdArray order, NdArray y) {
    int ticket = device.indexErrors().ticket(op, indices.layout(), y.dim(at));
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
          op + ": too many rows for one launch; got " + x.shape() + " along axis " + at);
    }
    Launch launch =
        device
            .kernel(op, "scatteradd", order == null ? "scatter_add" : "scatter_add_sorted")
            .arrayAt(indices, whole.offsets()[0]);
    if (order != null) {
      launch = launch.array(order);
    }
    launch =
        launch
            .arrayAt(x, whole.offsets()[1])
            .integer(CudaDevice.type(x))
            .arrayAt(y, whole.offsets()[2]);
    if (order == null) {
      launch = launch.number(indices.layout().stride(at));
    }
    launch =
        launch
            .number(x.layout().stride(at))
            .number(y.layout().stride(at))
            .size(x.dim(at))
            .size(y.dim(at))
            .size(inner)
            .loop(whole)
            .size(whole.elements())
            .address(device.errorAddress())
            .integer(ticket);
    if (order == null) {
      launch.threads(whole.elements());
    } else {
      launch.run(x.dim(at), (whole.elements() + 255) / 256, 1, 256, 1);
    }
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

  void embeddingGradient(NdArray dy, NdArray indices, NdArray dTable) {
    NdArray column = indices.reshape(Shape.of(indices.elements(), 1)).expand(dy.shape());
    scatterAdd("embeddingGradient", dy, 0, column, dTable);
  }
}
