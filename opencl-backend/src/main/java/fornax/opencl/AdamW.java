package fornax.opencl;

import fornax.backend.AdamWSlot;
import fornax.backend.NdArray;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/// Launches `adamw.cl`: eight parameters at a time, those with a copy of one type together.
final class AdamW {
  private final OpenClQueue queue;
  private final Tuning tuning;

  AdamW(OpenClQueue queue, Tuning tuning) {
    this.queue = queue;
    this.tuning = tuning;
  }

  void step(List<AdamWSlot> parameters, NdArray factors, NdArray scale) {
    Map<String, List<AdamWSlot>> byOptions =
        parameters.stream()
            .filter(slot -> slot.parameter().elements() > 0)
            .collect(Collectors.groupingBy(AdamW::options, TreeMap::new, Collectors.toList()));
    byOptions.forEach((options, all) -> step(all, options, factors, scale));
  }

  private static String options(AdamWSlot slot) {
    NdArray copy = slot.copy();
    return copy == null ? "" : Types.option("adamW", "COPY", copy);
  }

  private void step(List<AdamWSlot> all, String options, NdArray factors, NdArray scale) {
    for (int from = 0; from < all.size(); from += Slots.MOST) {
      List<AdamWSlot> some = all.subList(from, Math.min(all.size(), from + Slots.MOST));
      Slots slots =
          Slots.of(some.stream().map(slot -> slot.parameter().elements()).toList(), tuning.flat());
      Arguments arguments = new Arguments();
      for (int i = 0; i < Slots.MOST; i++) {
        AdamWSlot slot = some.get(Math.min(i, some.size() - 1));
        arguments.addAll(
            slot.parameter(), slot.gradient(), slot.firstMoment(), slot.secondMoment());
        NdArray copy = slot.copy();
        if (copy != null) {
          arguments.add(copy);
        }
      }
      arguments.addAll(factors, scale, slots);
      queue.launch(
          "adamW",
          Kernel.Spec.of("adamw", "adamw", options),
          Grid.groups(slots.groups(), tuning.flat()),
          arguments.toArray());
    }
  }
}
