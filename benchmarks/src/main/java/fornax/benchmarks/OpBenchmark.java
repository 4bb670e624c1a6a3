package fornax.benchmarks;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Backends;
import fornax.backend.NdArray;
import fornax.backend.Workspace;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// A suite: one operation on a device. A subclass has a parameter `size`, its arrays, a method for
/// each thing to time, and says what work that is. Methods end with [#done()], so that a device
/// that only enqueues is timed to the end of the work.
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 8, time = 1)
public abstract class OpBenchmark {
  private static final long SEED = 7;

  @Param("cpu")
  public String device = "cpu";

  private final Random random = new Random(SEED);

  @SuppressWarnings("NullAway.Init") // by open()
  private Backend backend;

  @SuppressWarnings("NullAway.Init") // by open()
  private Workspace arrays;

  OpBenchmark() {}

  /// Opens the device and makes the arrays.
  @Setup(Level.Trial)
  @SuppressWarnings("MustBeClosed") // by close()
  public final void open() {
    backend = Backends.open(device).backend();
    arrays = new Workspace(backend.memory());
    prepare();
    backend.synchronize();
  }

  /// Gives everything back.
  @TearDown(Level.Trial)
  public final void close() {
    release();
    arrays.close();
    backend.close();
  }

  /// Makes what the methods need, for the size that is set.
  abstract void prepare();

  /// Gives back what [#prepare()] made beside arrays.
  void release() {}

  /// What one operation of `method` has to do, for the size that is set. Needs no device.
  abstract Work work(String method);

  final Backend backend() {
    return backend;
  }

  /// Waits for the device.
  final void done() {
    backend.synchronize();
  }

  /// An array with arbitrary contents.
  final NdArray empty(long... dims) {
    return arrays.allocate(DType.F32, Shape.of(dims));
  }

  /// `x` in another type.
  final NdArray as(DType type, NdArray x) {
    if (x.dtype() == type) {
      return x;
    }
    NdArray y = arrays.allocate(type, x.shape());
    backend.copy(x, y);
    return y;
  }

  final NdArray zeros(long... dims) {
    NdArray y = empty(dims);
    backend.fill(y, 0);
    return y;
  }

  /// Normal numbers.
  final NdArray normal(long... dims) {
    NdArray y = empty(dims);
    float[] values = new float[Math.toIntExact(y.elements())];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    backend.upload(MemorySegment.ofArray(values), y);
    return y;
  }

  /// Whole numbers below `bound`.
  final NdArray below(int bound, long... dims) {
    NdArray y = arrays.allocate(DType.I32, Shape.of(dims));
    int[] values = random.ints(y.elements(), 0, bound).toArray();
    backend.upload(MemorySegment.ofArray(values), y);
    return y;
  }

  /// The numbers of a size such as `256x768`.
  static long[] dims(String size) {
    return Stream.of(size.split("x")).mapToLong(Long::parseLong).toArray();
  }

  /// The bytes of `arrays` F32 arrays of these dimensions.
  static double bytes(int arrays, long... dims) {
    return (double) Float.BYTES * arrays * elements(dims);
  }

  static long elements(long... dims) {
    return LongStream.of(dims).reduce(1, Math::multiplyExact);
  }
}
