package fornax.opencl;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Memory;
import fornax.backend.NdArray;
import fornax.backend.Workspace;
import java.util.ArrayList;
import java.util.List;

/// Launches `globalnorm.cl`: eight arrays at a time.
final class GlobalNorm {
  private static final int RUN = 32; // elements that a work-item adds one after another

  private final OpenClQueue queue;
  private final Tuning tuning;
  private final Memory memory;

  GlobalNorm(OpenClQueue queue, Tuning tuning, Memory memory) {
    this.queue = queue;
    this.tuning = tuning;
    this.memory = memory;
  }

  void norm(List<NdArray> arrays, NdArray y) {
    int group = tuning.wide();
    long chunk = (long) group * RUN;
    List<List<NdArray>> launches = new ArrayList<>();
    long partials = 0;
    for (DType type : DType.values()) {
      List<NdArray> all =
          arrays.stream().filter(x -> x.dtype() == type && x.elements() > 0).toList();
      for (int from = 0; from < all.size(); from += Slots.MOST) {
        launches.add(all.subList(from, Math.min(all.size(), from + Slots.MOST)));
      }
      for (NdArray x : all) {
        partials += Grid.ceilDiv(x.elements(), chunk);
      }
    }
    try (var work = new Workspace(memory)) {
      NdArray partial = work.allocate(DType.F32, Shape.of(partials));
      long done = 0;
      for (List<NdArray> some : launches) {
        Slots slots = Slots.of(some.stream().map(NdArray::elements).toList(), chunk);
        Arguments arguments = new Arguments();
        for (int i = 0; i < Slots.MOST; i++) {
          arguments.add(some.get(Math.min(i, some.size() - 1)));
        }
        arguments.addAll(partial.slice(0, done, partials), chunk, slots);
        queue.launch(
            "globalNorm",
            Kernel.Spec.of(
                "globalnorm",
                "squares",
                "-D GROUP=" + group + Types.option("globalNorm", "X", some.getFirst())),
            Grid.groups(slots.groups(), group),
            arguments.toArray());
        done += slots.groups();
      }
      queue.launch(
          "globalNorm",
          Kernel.Spec.of("globalnorm", "finish", "-D GROUP=" + group),
          Grid.groups(1, group),
          partial,
          y,
          partials);
    }
  }

  void clipScale(NdArray norm, double maxNorm, NdArray y) {
    queue.launch(
        "clipScale",
        Kernel.Spec.of("globalnorm", "clip_scale", ""),
        Grid.groups(1, 1),
        norm,
        (float) maxNorm,
        y);
  }
}
