package fornax.train;

import fornax.models.gpt.GptConfig;
import fornax.nn.Precision;

/// How many floating-point operations training needs.
public final class Flops {
  /// The formula of [#perToken(GptConfig)], as reports name it.
  public static final String FORMULA = "6N + 12·layers·width·context";

  private Flops() {}

  /// Of a forward and a backward pass, for each token: `6N + 12·layers·width·context`, N the
  /// parameters without the table of positions. What is computed again in backward does not count.
  /// Source: arXiv:2204.02311, appendix B.
  public static double perToken(GptConfig model) {
    double positions = (double) model.context() * model.width();
    return 6 * (model.parameterCount() - positions)
        + 12.0 * model.layers() * model.width() * model.context();
  }

  /// The model's share of what the device could do: 0 where that is not known.
  ///
  /// @param deviceName as its driver calls it
  public static double utilization(
      GptConfig model, Precision precision, String deviceName, double tokensPerSecond) {
    KnownDevice device = KnownDevice.named(deviceName);
    double most = device == null ? 0 : device.flops(precision);
    return most == 0 ? 0 : tokensPerSecond * perToken(model) / most;
  }
}
