package fornax.backend;

/// One parameter of an AdamW update: contiguous F32 arrays of one shape.
///
/// @param parameter changed in place
/// @param gradient read
/// @param firstMoment changed in place
/// @param secondMoment changed in place
public record AdamWSlot(
    NdArray parameter, NdArray gradient, NdArray firstMoment, NdArray secondMoment) {}
