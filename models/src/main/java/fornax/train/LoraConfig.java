package fornax.train;

import fornax.nn.Lora;

/// What `config.json` says of a run that trains low-rank adapters alone.
///
/// @param rank as in [Lora.Options]
/// @param alpha as in [Lora.Options]
/// @param dropout as in [Lora.Options]
/// @param base the folder whose weights are adapted
/// @param baseSha256 [StoredWeights#sha256()] of these weights
public record LoraConfig(int rank, double alpha, double dropout, String base, String baseSha256) {
  /// How layers are adapted.
  public Lora.Options options() {
    return new Lora.Options(rank, alpha, dropout);
  }
}
