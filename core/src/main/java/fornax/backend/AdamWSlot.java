package fornax.backend;

import java.util.List;
import org.jspecify.annotations.Nullable;

/// One parameter of an AdamW update: contiguous F32 arrays of one shape.
///
/// @param parameter changed in place
/// @param gradient read
/// @param firstMoment changed in place
/// @param secondMoment changed in place
/// @param copy contiguous BF16 or F16 with the old parameter's values, which gets the new one's,
///   rounded to nearest even; null: none
public record AdamWSlot(
    NdArray parameter,
    NdArray gradient,
    NdArray firstMoment,
    NdArray secondMoment,
    @Nullable NdArray copy) {
  /// @throws fornax.array.DTypeException if an array is of another type
  /// @throws fornax.array.ShapeException if one is not contiguous or of another shape
  public AdamWSlot {
    SlotCheck.check("adamW", List.of(parameter, gradient, firstMoment, secondMoment), copy);
  }

  /// A slot without a copy.
  public AdamWSlot(NdArray parameter, NdArray gradient, NdArray firstMoment, NdArray secondMoment) {
    this(parameter, gradient, firstMoment, secondMoment, null);
  }
}
