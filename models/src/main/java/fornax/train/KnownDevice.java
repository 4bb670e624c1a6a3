package fornax.train;

import fornax.nn.Precision;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// A graphics card whose data sheet is known.
///
/// @param id what `plan --gpu` calls it
/// @param namePart a part of the name that its driver gives it
/// @param bytes of memory
/// @param bf16Flops the most floating-point operations a second of dense BF16 matrices on tensor
///   cores with sums in F32; 0: it has none
/// @param f16Flops the same of F16
/// @param f32Flops the same of F32 without tensor cores
public record KnownDevice(
    String id, String namePart, long bytes, double bf16Flops, double f16Flops, double f32Flops) {
  private static final long GIB = 1L << 30;

  // NVIDIA's data sheets: A100 (2021), H100 and H200 (2024), A10, A30, A40, L4, L40S, T4, V100, and
  // the whitepapers of Ampere GA102 and Ada, where GeForce has half rate for sums in F32. A name
  // stands before those that it contains.
  private static final List<KnownDevice> ALL =
      List.of(
          new KnownDevice("h200", "H200", 141_000_000_000L, 989e12, 989e12, 67e12),
          new KnownDevice("h100-pcie", "H100 PCIe", 80 * GIB, 756e12, 756e12, 51e12),
          new KnownDevice("h100", "H100", 80 * GIB, 989e12, 989e12, 67e12),
          new KnownDevice("a100-80g", "A100-SXM4-80GB", 80 * GIB, 312e12, 312e12, 19.5e12),
          new KnownDevice("a100-80g", "A100 80GB", 80 * GIB, 312e12, 312e12, 19.5e12),
          new KnownDevice("a100-40g", "A100", 40 * GIB, 312e12, 312e12, 19.5e12),
          new KnownDevice("a40", "NVIDIA A40", 48 * GIB, 149.7e12, 149.7e12, 37.4e12),
          new KnownDevice("a30", "NVIDIA A30", 24 * GIB, 165e12, 165e12, 10.3e12),
          new KnownDevice("l40s", "L40S", 48 * GIB, 362e12, 362e12, 91.6e12),
          new KnownDevice("l4", "NVIDIA L4", 24 * GIB, 121e12, 121e12, 30.3e12),
          new KnownDevice("v100", "V100", 32 * GIB, 0, 125e12, 15.7e12),
          new KnownDevice("t4", "Tesla T4", 16 * GIB, 0, 65e12, 8.1e12),
          new KnownDevice("rtx4090", "RTX 4090", 24 * GIB, 165.2e12, 165.2e12, 82.6e12),
          new KnownDevice("rtx3090", "GeForce RTX 3090", 24 * GIB, 71e12, 71e12, 35.6e12));

  /// All of them.
  public static List<KnownDevice> all() {
    return ALL;
  }

  /// The one that `plan --gpu` calls `id`; null: there is none.
  public static @Nullable KnownDevice of(String id) {
    return ALL.stream()
        .filter(device -> device.id().equals(id.toLowerCase(Locale.ROOT)))
        .findFirst()
        .orElse(null);
  }

  /// The one whose driver calls it `name`; null: it is not known.
  public static @Nullable KnownDevice named(String name) {
    return ALL.stream().filter(device -> name.contains(device.namePart())).findFirst().orElse(null);
  }

  /// The most floating-point operations a second in `precision`; 0: not known. TF32 has half of
  /// BF16's rate.
  public double flops(Precision precision) {
    return switch (precision) {
      case F32 -> f32Flops;
      case TF32 -> bf16Flops / 2;
      case BF16 -> bf16Flops;
      case F16 -> f16Flops;
    };
  }
}
