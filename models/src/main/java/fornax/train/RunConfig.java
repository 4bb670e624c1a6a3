package fornax.train;

import fornax.models.gpt.GptConfig;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// What a run's `config.json` holds.
///
/// @param preset the name that the sizes started from
/// @param model the sizes
/// @param data the texts trained on, by name
/// @param textSha256 [#sha256(String)] of these texts together, by which the text is known again
/// @param training how it was trained
/// @param device what it was trained on
/// @param matmul what multiplied BF16 matrices there, if it did and there was a choice; else empty
/// @param instructions whether the texts are JSON lines of prompts and answers
/// @param adapters those that were trained in place of all weights: none, or one kind
public record RunConfig(
    String preset,
    GptConfig model,
    List<String> data,
    String textSha256,
    TrainOptions training,
    String device,
    String matmul,
    boolean instructions,
    List<LoraConfig> adapters) {
  public RunConfig {
    data = List.copyOf(data);
    adapters = List.copyOf(adapters);
  }

  /// All weights are trained, on plain texts.
  public RunConfig(
      String preset,
      GptConfig model,
      List<String> data,
      String textSha256,
      TrainOptions training,
      String device) {
    this(preset, model, data, textSha256, training, device, "", false, List.of());
  }

  /// The adapters that were trained in place of all weights; null: none.
  public @Nullable LoraConfig lora() {
    return adapters.isEmpty() ? null : adapters.getFirst();
  }

  /// This, of a model whose weights have the adapters in them.
  public RunConfig withoutLora() {
    return new RunConfig(
        preset, model, data, textSha256, training, device, matmul, instructions, List.of());
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
