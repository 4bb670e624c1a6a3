package fornax.benchmarks;

import fornax.array.Shape;
import fornax.backend.Binary;
import fornax.backend.NdArray;
import fornax.tensor.Numerics;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.CompilerControl;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Param;

/// What an operation costs beside its kernel: additions of two small tensors, in one scope, and the
/// kernel alone.
@SuppressWarnings("NullAway.Init") // by prepare()
public class DispatchBenchmark extends OpBenchmark {
  static final int CALLS = 64;

  @Param("32")
  public String size;

  private Tensor a;
  private Tensor b;
  private Tensor parameter;
  private NdArray y;

  @Override
  void prepare() {
    long elements = Long.parseLong(size);
    float[] values = new float[Math.toIntExact(elements)];
    Tensors device = Tensors.on(backend());
    a = device.of(values, Shape.of(elements)).escape();
    b = device.of(values, Shape.of(elements)).escape();
    parameter = device.of(values, Shape.of(elements)).requiresGrad(true).escape();
    y = empty(elements);
  }

  @Override
  void release() {
    a.close();
    b.close();
    parameter.close();
  }

  /// The kernel alone.
  @Benchmark
  @OperationsPerInvocation(CALLS)
  public void kernel() {
    for (int i = 0; i < CALLS; i++) {
      backend().binary(Binary.ADD, a.array(), b.array(), y);
    }
    done();
  }

  @Benchmark
  @OperationsPerInvocation(CALLS)
  public void add() {
    addAll(a);
  }

  /// The same, recorded for a backward pass.
  @Benchmark
  @OperationsPerInvocation(CALLS)
  public void addWithGradient() {
    addAll(parameter);
  }

  /// What [Numerics] costs an operation that it does not watch, three times over: two reads are
  /// made forward, and one backward.
  @Benchmark
  @OperationsPerInvocation(CALLS)
  public int numericsOff() {
    int watched = 0;
    for (int i = 0; i < CALLS; i++) {
      watched += isWatched() + isWatched() + isWatched();
    }
    return watched;
  }

  @CompilerControl(CompilerControl.Mode.DONT_INLINE) // so that no read is made once for all
  private static int isWatched() {
    return Numerics.isChecking() ? 1 : 0;
  }

  private void addAll(Tensor left) {
    try (var _ = Scope.open()) {
      for (int i = 0; i < CALLS; i++) {
        Tensor _ = left.add(b);
      }
    }
    done();
  }

  @Override
  Work work(String method) {
    return Work.overhead();
  }
}
