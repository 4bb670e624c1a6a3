package fornax.cuda;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.AdamWSlot;
import fornax.backend.NdArray;
import fornax.backend.SgdSlot;
import fornax.backend.Workspace;
import java.util.List;

/// Launches of `adamw.cu`, `sgd.cu` and `globalnorm.cu`: all parameters in one launch.
final class Optimizers {
  private final CudaDevice device;
  private final SlotTable tables;

  Optimizers(CudaDevice device) {
    this.device = device;
    this.tables = new SlotTable(device);
  }

  void adamW(List<AdamWSlot> slots, NdArray factors, NdArray scale) {
    var table =
        tables.of(
            slots.stream()
                .map(
                    slot ->
                        new SlotTable.Entry(
                            List.of(
                                slot.parameter(),
                                slot.gradient(),
                                slot.firstMoment(),
                                slot.secondMoment()),
                            slot.copy()))
                .toList());
    step("adamw", "adam_w", table, factors, scale);
  }

  void sgd(List<SgdSlot> slots, NdArray factors, NdArray scale) {
    var table =
        tables.of(
            slots.stream()
                .map(
                    slot ->
                        new SlotTable.Entry(
                            List.of(slot.parameter(), slot.gradient(), slot.velocity()),
                            slot.copy()))
                .toList());
    step("sgd", "sgd", table, factors, scale);
  }

  private void step(
      String file, String kernel, SlotTable.Table table, NdArray factors, NdArray scale) {
    device
        .kernel(file, file, kernel)
        .address(table.address())
        .integer(table.slots())
        .array(factors)
        .array(scale)
        .run(table.chunks(), 1, 1, 256, 1);
  }

  /// Whether there was a kernel for these operands.
  boolean globalNorm(List<NdArray> arrays, NdArray y) {
    for (NdArray array : arrays) {
      if (array.dtype() != DType.F32) {
        return false;
      }
    }
    var table = tables.of(arrays.stream().map(SlotTable.Entry::new).toList());
    try (var work = new Workspace(device.memory())) {
      NdArray partials = work.allocate(DType.F32, Shape.of(Math.max(1, table.chunks())));
      device
          .kernel("globalNorm", "globalnorm", "global_norm_partials")
          .address(table.address())
          .integer(table.slots())
          .array(partials)
          .run(table.chunks(), 1, 1, 256, 1);
      device
          .kernel("globalNorm", "globalnorm", "global_norm_finish")
          .array(partials)
          .size(table.chunks())
          .array(y)
          .run(1, 1, 1, 256, 1);
    }
    return true;
  }

  void clipScale(NdArray norm, double maxNorm, NdArray y) {
    device
        .kernel("clipScale", "globalnorm", "global_norm_clip_scale")
        .array(norm)
        .real((float) maxNorm)
        .array(y)
        .run(1, 1, 1, 1, 1);
  }

  void close() {
    tables.close();
  }
}
