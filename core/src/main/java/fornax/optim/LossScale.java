package fornax.optim;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Binary;
import fornax.backend.Compare;
import fornax.backend.NdArray;
import fornax.backend.Owner;
import fornax.backend.Readback;
import fornax.backend.Workspace;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.lang.foreign.ValueLayout;
import java.util.function.DoubleSupplier;

/// The factor that a loss is multiplied by before backward in F16, so that small gradients do not
/// vanish, and by which gradients are divided again before they are clipped. It finds itself: a
/// step whose gradients are not finite is skipped and halves it, a row of good steps doubles it.
/// Source: arXiv:1710.03740 §3.2, with the numbers of PyTorch's `GradScaler`.
///
/// ```java
/// loss.backward(lossScale.seed());
/// NdArray scale = clip.scale(optimizer.parameters(), lossScale);
/// optimizer.step(scale);
/// lossScale.update(scale);
/// ```
///
/// It lives on the device and is worked out there, so that nothing waits and captured steps have
/// the same bits.
public final class LossScale implements AutoCloseable {
  private static final double LEAST = 1;
  private static final double LARGEST = 0x1p127;

  /// How the factor begins and changes; powers of two keep gradients' bits.
  ///
  /// @param initial the first factor
  /// @param growth what `interval` good steps in a row multiply it by
  /// @param backoff what a step that is not finite multiplies it by; it stays 1 or more
  /// @param interval good steps
  public record Options(double initial, double growth, double backoff, int interval) {
    /// 65536; doubled by 2000 good steps, halved by a bad one.
    public static final Options DEFAULT = new Options(0x1p16, 2, 0.5, 2000);

    /// @throws IllegalArgumentException if a number is out of its range
    public Options {
      boolean known = initial >= LEAST && initial <= LARGEST && growth >= 1 && growth <= LARGEST;
      if (!known || !(backoff > 0 && backoff <= 1) || interval < 1) {
        throw new IllegalArgumentException(
            "loss scale: not usable; got initial "
                + initial
                + ", growth "
                + growth
                + ", backoff "
                + backoff
                + " and interval "
                + interval
                + "; need 1 to 2^127, at least 1, over 0 to 1 and at least 1");
      }
    }
  }

  /// Where it stands.
  ///
  /// @param scale the factor of the next step
  /// @param goodSteps those in a row since it last changed
  public record State(double scale, int goodSteps) {
    /// Before the first step, with [Options#DEFAULT].
    public static final State INITIAL = new State(Options.DEFAULT.initial(), 0);

    /// @throws IllegalArgumentException if the factor is not 1 to 2¹²⁷ or the steps are negative
    public State {
      if (!(scale >= LEAST && scale <= LARGEST) || goodSteps < 0) {
        throw new IllegalArgumentException(
            "loss scale: not usable; got "
                + scale
                + " after "
                + goodSteps
                + " good steps; need 1 to 2^127 after 0 or more");
      }
    }
  }

  private final Backend backend;
  private final Options options;
  private final Tensor scale;
  private final Tensor goodSteps;

  /// On `backend`, from the beginning.
  public LossScale(Backend backend, Options options) {
    this.backend = backend;
    this.options = options;
    scale = scalar(backend, options.initial());
    goodSteps = scalar(backend, 0);
  }

  private static Tensor scalar(Backend backend, double value) {
    Tensor tensor = Tensors.on(backend).full(value, DType.F32, Shape.scalar()).escape();
    tensor.array().buffer().setOwner(Owner.OPTIMIZER);
    return tensor;
  }

  /// What the backward pass begins with: an F32 scalar, this one's own.
  public Tensor seed() {
    return scale;
  }

  /// Divides `x`, an F32 scalar, by the factor.
  void divide(NdArray x) {
    backend.binary(Binary.DIVIDE, x, scale.array(), x);
  }

  /// Enqueues the change after a step.
  ///
  /// @param check an F32 scalar that is finite where the step was good, as the factor that
  ///   [GradientClip] gives
  public void update(NdArray check) {
    Shape one = Shape.scalar();
    try (var work = new Workspace(backend.memory())) {
      NdArray zero = work.allocate(DType.F32, one);
      NdArray good = work.allocate(DType.BOOL, one);
      backend.binary(Binary.MULTIPLY, check, 0, zero); // or NaN
      backend.compare(Compare.EQUAL, zero, 0, good);
      backend.fill(zero, 0);
      NdArray counted = work.allocate(DType.F32, one);
      NdArray full = work.allocate(DType.BOOL, one);
      backend.binary(Binary.ADD, goodSteps.array(), 1, counted);
      backend.compare(Compare.GREATER_EQUAL, counted, options.interval(), full);
      NdArray larger = work.allocate(DType.F32, one);
      backend.binary(Binary.MULTIPLY, scale.array(), options.growth(), larger);
      backend.binary(Binary.MINIMUM, larger, LARGEST, larger);
      backend.where(full, larger, scale.array(), larger);
      backend.where(full, zero, counted, counted);
      NdArray smaller = work.allocate(DType.F32, one);
      backend.binary(Binary.MULTIPLY, scale.array(), options.backoff(), smaller);
      backend.binary(Binary.MAXIMUM, smaller, LEAST, smaller);
      backend.where(good, larger, smaller, scale.array());
      backend.where(good, counted, zero, goodSteps.array());
    }
  }

  /// Starts reading the factor that is now; the result waits for it when it is asked.
  public DoubleSupplier read() {
    return read(scale);
  }

  private DoubleSupplier read(Tensor scalar) {
    Readback readback = backend.readback(scalar.array());
    return () -> readback.await().get(ValueLayout.JAVA_FLOAT_UNALIGNED, 0);
  }

  /// Where it stands; waits for the device.
  public State state() {
    DoubleSupplier steps = read(goodSteps);
    return new State(read(scale).getAsDouble(), (int) steps.getAsDouble());
  }

  /// Goes on from `state`.
  public void resume(State state) {
    backend.fill(scale.array(), state.scale());
    backend.fill(goodSteps.array(), state.goodSteps());
  }

  /// Gives its memory back. Closing twice does nothing.
  @Override
  public void close() {
    scale.close();
    goodSteps.close();
  }
}
