package fornax.backend;

/// The numbers of one SGD step, read by the device from an F32 array of [#COUNT] elements.
public final class SgdFactors {
  /// the learning rate
  public static final int RATE = 0;

  /// the momentum
  public static final int MOMENTUM = 1;

  /// the weight decay, added to the gradient
  public static final int WEIGHT_DECAY = 2;

  /// 1 for Nesterov's form, else 0
  public static final int NESTEROV = 3;

  public static final int COUNT = 4;

  private SgdFactors() {}

  public static float[] of(double rate, double momentum, double weightDecay, boolean nesterov) {
    return new float[] {(float) rate, (float) momentum, (float) weightDecay, nesterov ? 1 : 0};
  }
}
