package fornax.train;

import fornax.models.gpt.GptConfig;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;

/// What a run's `config.json` holds.
///
/// @param preset the name that the sizes started from
/// @param model the sizes
/// @param data the texts trained on, by name
/// @param textSha256 [#sha256(String)] of these texts together, by which the text is known again
/// @param training how it was trained
/// @param device what it was trained on
public record RunConfig(
    String preset,
    GptConfig model,
    List<String> data,
    String textSha256,
    TrainOptions training,
    String device) {
  public RunConfig {
    data = List.copyOf(data);
  }

  /// The SHA-256 of `text` in UTF-8, in hexadecimal digits.
  public static String sha256(String text) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      return HexFormat.of().formatHex(digest.digest(text.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }
}
