package fornax.opencl;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Memory;
import fornax.backend.NdArray;
import fornax.backend.Workspace;

/// Launches `embedding.cl`.
final class Embedding {
  private static final long SCANNED_ROWS = 4096; // beyond, sorting the indices is less work

  private final OpenClQueue queue;
  private final Tuning tuning;
  private final Sort sort;
  private final Memory memory;

  Embedding(OpenClQueue queue, Tuning tuning, Sort sort, Memory memory) {
    this.queue = queue;
    this.tuning = tuning;
    this.sort = sort;
    this.memory = memory;
  }

  void embedding(NdArray table, NdArray indices, NdArray y) {
    String op = "embedding";
    queue.launch(
        op,
        Kernel.Spec.of(
            "embedding", "embedding", Types.option(op, "X", table) + Types.option(op, "Y", y)),
        Grid.items(y.dim(1), y.dim(0), tuning.narrow()),
        table,
        indices,
        y,
        y.dim(1),
        table.dim(0),
        new IndexErrors.Check(op, indices.layout(), table.dim(0)));
  }

  void gradient(NdArray dy, NdArray indices, NdArray dTable) {
    String op = "embeddingGradient";
    long rows = dTable.dim(0);
    long columns = dTable.dim(1);
    long count = indices.elements();
    if (count == 0 || rows == 0) {
      return;
    }
    String options = Types.option(op, "DY", dy) + Types.option(op, "DT", dTable);
    int group = tuning.narrow();
    if (rows <= SCANNED_ROWS) {
      queue.launch(
          op,
          Kernel.Spec.of("embedding", "embedding_gradient_scan", options + " -D GROUP=" + group),
          Grid.groups(Grid.ceilDiv(columns, group), rows, group),
          dy,
          indices,
          dTable,
          count,
          columns,
          rows,
          new IndexErrors.Check(op, indices.layout(), rows));
      return;
    }
    try (var work = new Workspace(memory)) {
      NdArray line = indices.reshape(Shape.of(1, count));
      NdArray sorted = work.allocate(DType.I32, line.shape());
      NdArray order = work.allocate(DType.I32, line.shape());
      sort.sort(line, false, sorted, order);
      queue.launch(
          op,
          Kernel.Spec.of("embedding", "embedding_gradient_runs", options),
          Grid.items(columns, count, group),
          dy,
          sorted,
          order,
          dTable,
          count,
          columns,
          rows,
          new IndexErrors.Check(op, indices.layout(), rows));
    }
  }
}
