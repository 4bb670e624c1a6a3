package fornax.nn;

import fornax.array.DType;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// What a module computes in. Its parameters, their gradients, the optimiser's state, norms'
/// parameters and losses are F32 either way.
public enum Precision {
  /// Everything in F32.
  F32(DType.F32),

  /// Everything in F32, but that products round their factors to TF32, 10 bits of mantissa: a mode
  /// of the device, for CUDA cards with such tensor cores (see
  /// [fornax.backend.Backend#multiplyInTf32(boolean)]).
  TF32(DType.F32),

  /// Matrices have a BF16 copy, which arithmetic reads and the optimiser refreshes; what layers
  /// pass on is BF16. Sums are still made in F32.
  BF16(DType.BF16),

  /// Likewise with F16, IEEE's half, for cards whose tensor cores take no BF16. Its numbers end at
  /// 65504 and at 2⁻²⁴: gradients need a [fornax.optim.LossScale].
  F16(DType.F16);

  private final DType activations;

  Precision(DType activations) {
    this.activations = activations;
  }

  /// The type of what layers pass on.
  public DType activations() {
    return activations;
  }

  /// The type of the copies that matrices have beside their F32 masters; null: none.
  public @Nullable DType copies() {
    return activations.isHalf() ? activations : null;
  }

  /// The precision of the name `f32`, `tf32`, `bf16` or `f16`.
  ///
  /// @throws IllegalArgumentException if there is none of this name
  public static Precision of(String name) {
    for (Precision precision : values()) {
      if (precision.toString().equals(name)) {
        return precision;
      }
    }
    throw new IllegalArgumentException(
        "precision: unknown; got " + name + "; need f32, tf32, bf16 or f16");
  }

  /// `f32`, `tf32`, `bf16` or `f16`.
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
