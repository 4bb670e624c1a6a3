package fornax.optim;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.DeviceException;
import fornax.backend.NdArray;
import fornax.backend.Owner;
import fornax.backend.Readback;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.function.DoubleSupplier;
import org.jspecify.annotations.Nullable;

/// Gradient clipping by the global norm: all gradients are multiplied by `min(1, maxNorm/(norm +
/// 1e-6))`, `norm = √Σ g²` over all of them. Where the norm is not finite, the step is skipped.
/// Source: arXiv:1211.5063 §3.2.
///
/// Norm and factor stay on the device: nothing waits for them unless the norm is read.
///
/// ```java
/// optimizer.step(clip.scale(optimizer.parameters()));
/// ```
public final class GradientClip implements AutoCloseable {
  private final Backend backend;
  private final double maxNorm;
  private final Tensor norm;
  private final Tensor scale;

  private GradientClip(Backend backend, double maxNorm) {
    this.backend = backend;
    this.maxNorm = maxNorm;
    norm = scalar(backend);
    scale = scalar(backend);
  }

  /// Clips to `maxNorm`; infinity never clips, but still skips steps whose norm is not finite.
  ///
  /// @throws IllegalArgumentException if `maxNorm` is not positive
  public static GradientClip byGlobalNorm(Backend backend, double maxNorm) {
    if (!(maxNorm > 0)) {
      throw new IllegalArgumentException(
          "clip: not usable; got maximal norm " + maxNorm + "; need more than 0");
    }
    return new GradientClip(backend, maxNorm);
  }

  private static Tensor scalar(Backend backend) {
    Tensor tensor = Tensors.on(backend).zeros(DType.F32, Shape.scalar()).escape();
    tensor.array().buffer().setOwner(Owner.OPTIMIZER);
    return tensor;
  }

  /// Enqueues the norm of the parameters' gradients and the factor that [Optimizer#step(NdArray)]
  /// takes, an F32 scalar that is good until the next call. Parameters without gradients count
  /// nothing.
  ///
  /// @throws DeviceException if a parameter is on another device
  public NdArray scale(Collection<Tensor> parameters) {
    return scale(parameters, null);
  }

  /// Likewise of gradients that are those of the loss times `lossScale`: the norm is that of the
  /// gradients divided by it, and the factor divides them. Null: 1.
  ///
  /// @throws DeviceException if a parameter is on another device
  public NdArray scale(Collection<Tensor> parameters, @Nullable LossScale lossScale) {
    List<NdArray> gradients = new ArrayList<>(parameters.size());
    for (Tensor parameter : parameters) {
      if (parameter.backend() != backend) {
        throw new DeviceException(
            "clip: parameter on another device; got "
                + parameter.backend().id()
                + "; need "
                + backend.id());
      }
      NdArray gradient = parameter.gradArray();
      if (gradient != null) {
        gradients.add(gradient);
      }
    }
    backend.globalNorm(gradients, norm.array());
    if (lossScale != null) {
      lossScale.divide(norm.array());
    }
    backend.clipScale(norm.array(), maxNorm, scale.array());
    if (lossScale != null) {
      lossScale.divide(scale.array());
    }
    return scale.array();
  }

  /// Starts reading the norm before clipping that the last [#scale(Collection)] found; the result
  /// waits for it when it is asked.
  public DoubleSupplier readNorm() {
    Readback readback = backend.readback(norm.array());
    return () -> readback.await().get(ValueLayout.JAVA_FLOAT_UNALIGNED, 0);
  }

  /// Gives its memory back. Closing twice does nothing.
  @Override
  public void close() {
    norm.close();
    scale.close();
  }
}
