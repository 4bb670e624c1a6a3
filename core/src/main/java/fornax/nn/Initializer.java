package fornax.nn;

import fornax.array.Shape;
import fornax.tensor.HostRandom;
import java.util.Arrays;

/// How a parameter starts. Values are made on the host, a pure function of shape, seed and stream,
/// so a seed gives the same parameters on every device.
@FunctionalInterface
public interface Initializer {
  /// The step of the random numbers: none that training has.
  long STEP = -1;

  /// The values of a parameter of the shape `shape`, in row-major order. Parameters of one model
  /// have one seed and different streams.
  float[] values(Shape shape, long seed, int stream);

  /// `value` everywhere.
  static Initializer constant(double value) {
    return (shape, _, _) -> {
      float[] values = new float[count(shape)];
      Arrays.fill(values, (float) value);
      return values;
    };
  }

  /// 0 everywhere.
  static Initializer zeros() {
    return (shape, _, _) -> new float[count(shape)];
  }

  /// 1 everywhere.
  static Initializer ones() {
    return constant(1);
  }

  /// Normal numbers of mean 0.
  static Initializer normal(double standardDeviation) {
    return (shape, seed, stream) -> {
      float[] values = HostRandom.normals(seed, STEP, stream, count(shape));
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) (values[i] * standardDeviation);
      }
      return values;
    };
  }

  /// Uniform numbers in `[−bound, bound)`.
  static Initializer uniform(double bound) {
    return (shape, seed, stream) -> {
      float[] values = HostRandom.uniforms(seed, STEP, stream, count(shape));
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) ((2.0 * values[i] - 1) * bound);
      }
      return values;
    };
  }

  /// Uniform numbers in `[−1/√inputs, 1/√inputs)`, `inputs` being the first axis: what PyTorch's
  /// Linear starts with. Source: arXiv:1502.01852 §2.2, with PyTorch's gain of 1/√3.
  static Initializer kaimingUniform() {
    return (shape, seed, stream) ->
        uniform(1 / Math.sqrt(Math.max(1, shape.dim(0)))).values(shape, seed, stream);
  }

  private static int count(Shape shape) {
    return Math.toIntExact(shape.elements());
  }
}
