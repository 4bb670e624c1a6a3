package fornax.backend;

import org.jspecify.annotations.Nullable;

/// One parameter of an AdamW update: contiguous F32 arrays of one shape.
///
/// @param parameter changed in place
/// @param gradient read
/// @param firstMoment changed in place
/// @param secondMoment changed in place
/// @param copy contiguous BF16 with the old parameter's values, which gets the new one's, rounded
///   to nearest even; null: none
public record AdamWSlot(
    NdArray parameter,
    NdArray gradient,
    NdArray firstMoment,
    NdArray secondMoment,
    @Nullable NdArray copy) {
  /// A slot without a copy.
  public AdamWSlot(NdArray parameter, NdArray gradient, NdArray firstMoment, NdArray secondMoment) {
    this(parameter, gradient, firstMoment, secondMoment, null);
  }
}
