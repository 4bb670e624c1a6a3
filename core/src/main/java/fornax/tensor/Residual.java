package fornax.tensor;

/// A residual stream and its layer norm, of one shape: what [Tensor#addLayerNorm(Tensor, Tensor,
/// Tensor, double)] gives. Both belong to the scope in which they were made.
///
/// @param sum the stream with the addend
/// @param normal the same, normalised
public record Residual(Tensor sum, Tensor normal) {}
