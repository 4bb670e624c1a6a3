package fornax.cpu;

import fornax.array.DType;
import fornax.array.Layout;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import fornax.backend.Owner;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/// One run of an operation on one backend: makes the same random arrays on any backend, and reads
/// the results back without help of the backend.
final class Trial implements AutoCloseable {
  /// How an array lies in memory.
  enum Lie {
    PLAIN,
    /// its first and last axis swapped
    TRANSPOSED,
    /// every second element of a wider last axis, from an offset
    STRIDED,
    /// part of a longer first axis
    SLICED
  }

  final Backend backend;
  private final Random random;
  private final List<NdArray> all = new ArrayList<>();
  private final List<NdArray> results = new ArrayList<>();

  Trial(Backend backend, long seed) {
    this.backend = backend;
    this.random = new Random(seed);
  }

  /// A contiguous F32 input.
  NdArray in(long... dims) {
    return in(DType.F32, Lie.PLAIN, dims);
  }

  /// An input with values around 0: about ±3 for floats, ±8 for I32.
  NdArray in(DType type, Lie lie, long... dims) {
    NdArray x = allocate(type, lie, Shape.of(dims));
    fill(x, _ -> value(type));
    return x;
  }

  /// An input of positive numbers.
  NdArray positive(long... dims) {
    NdArray x = allocate(DType.F32, Lie.PLAIN, Shape.of(dims));
    fill(x, _ -> 0.01 + random.nextDouble() * 2);
    return x;
  }

  /// I32 numbers from 0 to `end`, not included.
  NdArray indices(long end, long... dims) {
    NdArray x = allocate(DType.I32, Lie.PLAIN, Shape.of(dims));
    fill(x, _ -> random.nextInt((int) end));
    return x;
  }

  /// A contiguous input with these values.
  NdArray of(DType type, double... values) {
    NdArray x = allocate(type, Lie.PLAIN, Shape.of(values.length));
    fill(x, i -> values[(int) i]);
    return x;
  }

  /// A contiguous F32 result.
  NdArray out(long... dims) {
    return out(DType.F32, Lie.PLAIN, dims);
  }

  /// A result, which holds random values at first.
  NdArray out(DType type, Lie lie, long... dims) {
    NdArray y = in(type, lie, dims);
    results.add(y);
    return y;
  }

  /// Makes an input a result too.
  NdArray changed(NdArray x) {
    results.add(x);
    return x;
  }

  private double value(DType type) {
    return switch (type) {
      case I32 -> random.nextInt(17) - 8;
      case BOOL -> random.nextInt(2);
      case F32, F64, BF16, F16 -> random.nextGaussian() * 1.5;
    };
  }

  private NdArray allocate(DType type, Lie lie, Shape shape) {
    int rank = shape.rank();
    Lie possible = rank == 0 ? Lie.PLAIN : lie;
    return switch (possible) {
      case PLAIN -> lease(type, shape);
      case TRANSPOSED -> {
        Shape swapped = Layout.of(shape).swapAxes(0, -1).shape();
        yield lease(type, swapped).swapAxes(0, -1);
      }
      case STRIDED -> {
        Shape wide = shape.with(-1, 2 * shape.dim(-1) + 1);
        Layout layout = Layout.of(wide);
        long[] strides = layout.strides();
        strides[rank - 1] = 2;
        yield lease(type, wide).view(Layout.of(shape, strides, 1));
      }
      case SLICED -> {
        long dim = shape.dim(0);
        yield lease(type, shape.with(0, dim + 3)).slice(0, 2, 2 + dim);
      }
    };
  }

  private NdArray lease(DType type, Shape shape) {
    NdArray x = backend.memory().allocate(type, shape, Owner.DATA);
    all.add(x);
    fill(x, _ -> 0);
    return x;
  }

  private interface Values {
    double at(long linear);
  }

  private static void fill(NdArray x, Values values) {
    MemorySegment data = HostBlock.segment(x);
    for (long i = 0; i < x.elements(); i++) {
      Copy.set(x.dtype(), data, x.layout().at(i), values.at(i));
    }
  }

  /// The results one after the other: floats as they are, other types as floats.
  float[] results() {
    float[] values = new float[0];
    for (NdArray y : results) {
      int start = values.length;
      values = Arrays.copyOf(values, start + (int) y.elements());
      MemorySegment data = HostBlock.segment(y);
      for (int i = 0; i < y.elements(); i++) {
        values[start + i] = get(y.dtype(), data, y.layout().at(i));
      }
    }
    return values;
  }

  private static float get(DType type, MemorySegment data, long place) {
    return switch (type) {
      case F32, BF16, F16 -> Gather.get(type, data, place);
      case I32 -> data.get(ValueLayout.JAVA_INT, 4 * place);
      case BOOL -> data.get(ValueLayout.JAVA_BYTE, place);
      case F64 -> (float) data.get(ValueLayout.JAVA_DOUBLE, 8 * place);
    };
  }

  /// Whether a result has 16 bits, so that results agree to fewer digits.
  boolean isCoarse() {
    return results.stream().anyMatch(y -> y.dtype().isHalf());
  }

  @Override
  public void close() {
    all.forEach(x -> x.buffer().release());
  }
}
