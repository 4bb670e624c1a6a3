package fornax.nn;

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
  private int nextStream;

  private Weights(Backend backend, long seed) {
    this.backend = backend;
    this.seed = seed;
  }

  /// Parameters on `backend`.
  public static Weights on(Backend backend, long seed) {
    return new Weights(backend, seed);
  }

  /// Parameters on the current device, [Backends#current()].
  public static Weights seeded(long seed) {
    return new Weights(Backends.current(), seed);
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
    return Tensors.on(backend).of(initializer.values(shape, seed, nextStream++), shape);
  }
}
