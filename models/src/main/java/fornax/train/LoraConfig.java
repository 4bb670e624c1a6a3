package fornax.train;

import fornax.nn.Lora;
import java.nio.file.Path;

/// What `config.json` says of a run that trains low-rank adapters alone.
///
/// @param rank as in [Lora.Options]
/// @param alpha as in [Lora.Options]
/// @param dropout as in [Lora.Options]
/// @param base the folder whose weights are adapted
/// @param baseSha256 [StoredWeights#sha256()] of these weights
public record LoraConfig(int rank, double alpha, double dropout, String base, String baseSha256) {
  private static final int MOST_PATH = 4096; // what Linux takes

  /// @throws IllegalArgumentException if a number is out of range, `base` is no path, or
  ///   `baseSha256` not 64 hexadecimal digits
  public LoraConfig {
    var _ = new Lora.Options(rank, alpha, dropout);
    Path _ = Path.of(base);
    if (base.length() > MOST_PATH || !baseSha256.matches("[0-9a-f]{64}")) {
      throw new IllegalArgumentException(
          "lora: a base of " + base.length() + " characters, or no SHA-256; need both");
    }
  }

  /// How layers are adapted.
  public Lora.Options options() {
    return new Lora.Options(rank, alpha, dropout);
  }
}
