package fornax.backend;

import org.jspecify.annotations.Nullable;

/// One parameter of an SGD update: contiguous F32 arrays of one shape.
///
/// @param parameter changed in place
/// @param gradient read
/// @param velocity changed in place
/// @param copy contiguous BF16 with the old parameter's values, which gets the new one's, rounded
///   to nearest even; null: none
public record SgdSlot(
    NdArray parameter, NdArray gradient, NdArray velocity, @Nullable NdArray copy) {
  /// A slot without a copy.
  public SgdSlot(NdArray parameter, NdArray gradient, NdArray velocity) {
    this(parameter, gradient, velocity, null);
  }
}
