package fornax.nn;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Backends;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;

/// Where the parameters of new modules come from: a device, and random numbers of a seed. Each
/// parameter takes the next random stream, so that modules built in the same order from the same
/// seed are equal.
///
/// ```java
/// var weights = Weights.seeded(7);
/// var network =
///     new Sequential(new Linear(weights, 2, 16, Unary.TANH), new Linear(weights, 16, 1));
/// ```
public final class Weights {
  private final Backend backend;
  private final long seed;
  private final boolean random;
  private int nextStream;

  private Weights(Backend backend, long seed, boolean random) {
    this.backend = backend;
    this.seed = seed;
    this.random = random;
  }

  /// Parameters on `backend`.
  public static Weights on(Backend backend, long seed) {
    return new Weights(backend, seed, true);
  }

  /// Parameters on `backend` that are all 0, for a file to be loaded into them: large models are
  /// made faster so. The seed is for what else a model draws.
  public static Weights zeros(Backend backend, long seed) {
    return new Weights(backend, seed, false);
  }

  /// Parameters on the current device, [Backends#current()].
  public static Weights seeded(long seed) {
    return new Weights(Backends.current(), seed, true);
  }

  public Backend backend() {
    return backend;
  }

  public long seed() {
    return seed;
  }

  /// A new F32 tensor as `initializer` says, for [Module#parameter(String, Tensor)].
  public Tensor create(Initializer initializer, long... dims) {
    Shape shape = Shape.of(dims);
    Tensors device = Tensors.on(backend);
    int stream = nextStream++;
    return random
        ? device.of(initializer.values(shape, seed, stream), shape)
        : device.zeros(DType.F32, shape);
  }
}
