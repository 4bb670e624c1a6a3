package fornax.backend;

import java.util.List;
import org.jspecify.annotations.Nullable;

/// One parameter of an SGD update: contiguous F32 arrays of one shape.
///
/// @param parameter changed in place
/// @param gradient read
/// @param velocity changed in place
/// @param copy contiguous BF16 or F16 with the old parameter's values, which gets the new one's,
///   rounded to nearest even; null: none
public record SgdSlot(
    NdArray parameter, NdArray gradient, NdArray velocity, @Nullable NdArray copy) {
  /// @throws fornax.array.DTypeException if an array is of another type
  /// @throws fornax.array.ShapeException if one is not contiguous or of another shape
  public SgdSlot {
    SlotCheck.check("sgd", List.of(parameter, gradient, velocity), copy);
  }

  /// A slot without a copy.
  public SgdSlot(NdArray parameter, NdArray gradient, NdArray velocity) {
    this(parameter, gradient, velocity, null);
  }
}
