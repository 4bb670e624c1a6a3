package fornax.backend;

/// The numbers of one AdamW step, worked out in double precision on the host and read by the device
/// from an F32 array of [#COUNT] elements, so that a captured step can be replayed with new ones.
/// Source: arXiv:1711.05101, algorithm 2.
public final class AdamWFactors {
  /// `1 − lr·weightDecay`
  public static final int DECAY = 0;

  /// `1 − β₁`
  public static final int REST_1 = 1;

  /// `β₂`
  public static final int BETA_2 = 2;

  /// `1 − β₂`
  public static final int REST_2 = 3;

  /// `lr / (1 − β₁ᵗ)`
  public static final int STEP_SIZE = 4;

  /// `1 / √(1 − β₂ᵗ)`
  public static final int ROOT_CORRECTION = 5;

  /// `ε`
  public static final int EPSILON = 6;

  public static final int COUNT = 7;

  private AdamWFactors() {}

  /// The factors of step `step`, counted from 1.
  public static float[] of(
      double rate, double beta1, double beta2, double epsilon, double weightDecay, long step) {
    float[] factors = new float[COUNT];
    factors[DECAY] = (float) (1 - rate * weightDecay);
    factors[REST_1] = (float) (1 - beta1);
    factors[BETA_2] = (float) beta2;
    factors[REST_2] = (float) (1 - beta2);
    factors[STEP_SIZE] = (float) (rate / (1 - StrictMath.pow(beta1, step)));
    factors[ROOT_CORRECTION] = (float) (1 / Math.sqrt(1 - StrictMath.pow(beta2, step)));
    factors[EPSILON] = (float) epsilon;
    return factors;
  }
}
