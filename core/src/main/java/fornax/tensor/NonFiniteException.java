package fornax.tensor;

import fornax.array.Shape;
import org.jspecify.annotations.Nullable;

/// The first NaN or infinity of a computation, found by [Numerics]: which operation made it, in
/// which layer, and which line of Java called that.
public final class NonFiniteException extends ArithmeticException {
  private static final long serialVersionUID = 1L;

  private final String op;
  private final boolean backward;
  private final transient Shape shape;
  private final long notANumbers;
  private final long infinities;
  private final String layer;
  private final @Nullable StackTraceElement recordedAt;

  NonFiniteException(
      String message,
      String op,
      boolean backward,
      Shape shape,
      BadValues values,
      String layer,
      @Nullable StackTraceElement recordedAt) {
    super(message);
    this.op = op;
    this.backward = backward;
    this.shape = shape;
    this.notANumbers = values.notANumbers();
    this.infinities = values.infinities();
    this.layer = layer;
    this.recordedAt = recordedAt;
  }

  /// The operation, such as `layerNorm`; of a parameter, the operation that read it.
  public String op() {
    return op;
  }

  /// Whether the operation's gradient rule made it, not the operation itself.
  public boolean isBackward() {
    return backward;
  }

  /// The shape of the array that holds it.
  public Shape shape() {
    return shape;
  }

  /// How many values of the array are NaN.
  public long notANumbers() {
    return notANumbers;
  }

  /// How many values of the array are infinite.
  public long infinities() {
    return infinities;
  }

  /// The path of the layer, such as `blocks.3.feedForward.up`; empty where the computation is in no
  /// layer that [Numerics] knows.
  public String layer() {
    return layer;
  }

  /// The line that called the operation; null for a gradient that was recorded before checking
  /// began.
  public @Nullable StackTraceElement recordedAt() {
    return recordedAt;
  }
}
