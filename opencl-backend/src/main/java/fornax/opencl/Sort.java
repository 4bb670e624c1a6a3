package fornax.opencl;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Memory;
import fornax.backend.NdArray;
import fornax.backend.Workspace;

/// Launches `sort.cl`.
final class Sort {
  private final OpenClQueue queue;
  private final Tuning tuning;
  private final Memory memory;

  Sort(OpenClQueue queue, Tuning tuning, Memory memory) {
    this.queue = queue;
    this.tuning = tuning;
    this.memory = memory;
  }

  void sort(NdArray x, boolean descending, NdArray values, NdArray indices) {
    if (x.elements() == 0) {
      return;
    }
    long columns = x.dim(-1);
    long rows = x.elements() / columns;
    long padded = columns == 1 ? 2 : Long.highestOneBit(2 * columns - 1);
    int group = tuning.wide();
    long tile = Math.min(padded, 2L * group);
    int down = descending ? 1 : 0;
    String type = Types.option("sort", "X", x);
    Kernel.Spec tiles = Kernel.Spec.of("sort", "sort_tiles", type + " -D GROUP=" + group);
    Kernel.Spec step = Kernel.Spec.of("sort", "sort_step", type);
    Grid tileGrid = Grid.groups(padded / tile, rows, group);
    Grid pairs = Grid.items(padded / 2, rows, tuning.flat());
    try (var work = new Workspace(memory)) {
      NdArray order = work.allocate(DType.I32, Shape.of(rows, padded));
      queue.launch("sort", tiles, tileGrid, x, order, columns, padded, 2L, tile, 1, down);
      for (long stage = 2 * tile; stage <= padded; stage *= 2) {
        for (long distance = stage / 2; distance >= tile; distance /= 2) {
          queue.launch("sort", step, pairs, x, order, columns, padded, stage, distance, down);
        }
        queue.launch("sort", tiles, tileGrid, x, order, columns, padded, stage, stage, 0, down);
      }
      queue.launch(
          "sort",
          Kernel.Spec.of("sort", "sort_gather", type),
          Grid.items(columns, rows, tuning.flat()),
          x,
          order,
          values,
          indices,
          columns,
          padded);
    }
  }
}
