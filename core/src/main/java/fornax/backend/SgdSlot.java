package fornax.backend;

/// One parameter of an SGD update: contiguous F32 arrays of one shape.
///
/// @param parameter changed in place
/// @param gradient read
/// @param velocity changed in place
public record SgdSlot(NdArray parameter, NdArray gradient, NdArray velocity) {}
