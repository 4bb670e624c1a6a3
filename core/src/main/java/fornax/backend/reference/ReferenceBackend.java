package fornax.backend.reference;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import fornax.array.DType;
import fornax.array.Layout;
import fornax.array.Loops;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Binary;
import fornax.backend.Compare;
import fornax.backend.CopyEvent;
import fornax.backend.HostBlock;
import fornax.backend.HostBlocks;
import fornax.backend.Memory;
import fornax.backend.NdArray;
import fornax.backend.Philox;
import fornax.backend.Readback;
import fornax.backend.Reduce;
import fornax.backend.Settings;
import fornax.backend.Unary;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;

/// The executable definition of every primitive: naive loops over doubles, rounded once at the end.
/// The fused operations are the default bodies, which are their definition. Takes F64 as well as
/// the types that all backends take; one thread; every call is done when it returns.
public final class ReferenceBackend implements Backend {
  private final Memory memory =
      new Memory(ReferenceProvider.NAME, new HostBlocks(), Settings.memoryLimit());

  /// A device of its own, with its own memory.
  public ReferenceBackend() {}

  @Override
  public String id() {
    return ReferenceProvider.NAME;
  }

  @Override
  public Memory memory() {
    return memory;
  }

  // ---- moving data

  @Override
  public void upload(MemorySegment source, NdArray y) {
    try (var _ = CopyEvent.upload(this, y)) {
      MemorySegment.copy(source, 0, bytes(y), 0, y.bytes());
    }
  }

  @Override
  public Readback readback(NdArray x) {
    // Longs, so that the segment is aligned for every type.
    MemorySegment copy = MemorySegment.ofArray(new long[Math.toIntExact((x.bytes() + 7) / 8)]);
    MemorySegment elements = copy.asSlice(0, x.bytes());
    try (var _ = CopyEvent.readback(this, x)) {
      elements.copyFrom(bytes(x));
    }
    return () -> elements;
  }

  private static MemorySegment bytes(NdArray contiguous) {
    return HostBlock.segment(contiguous)
        .asSlice(contiguous.layout().offset() * contiguous.dtype().bytes(), contiguous.bytes());
  }

  @Override
  public void copy(NdArray x, NdArray y) {
    map(value -> value, x, y);
  }

  @Override
  public void fill(NdArray y, double value) {
    map(_ -> value, y, y);
  }

  @Override
  public void range(NdArray y, double start, double step) {
    Elements ys = Elements.of(y);
    long offset = y.layout().offset();
    for (long i = 0; i < y.elements(); i++) {
      ys.set(offset + i, start + i * step);
    }
  }

  // ---- elementwise

  @Override
  public void unary(Unary op, NdArray x, NdArray y) {
    map(Functions.of(op, x.dtype()), x, y);
  }

  @Override
  public void binary(Binary op, NdArray a, NdArray b, NdArray y) {
    map(Functions.of(op, a.dtype()), a, b, y);
  }

  @Override
  public void binary(Binary op, NdArray a, double b, NdArray y) {
    DoubleBinaryOperator f = Functions.of(op, a.dtype());
    double rounded = round(b, a.dtype());
    map(x -> f.applyAsDouble(x, rounded), a, y);
  }

  @Override
  public void compare(Compare op, NdArray a, NdArray b, NdArray y) {
    map(Functions.of(op), a, b, y);
  }

  @Override
  public void compare(Compare op, NdArray a, double b, NdArray y) {
    DoubleBinaryOperator f = Functions.of(op);
    double rounded = round(b, a.dtype());
    map(x -> f.applyAsDouble(x, rounded), a, y);
  }

  @Override
  public void where(NdArray condition, NdArray a, NdArray b, NdArray y) {
    Elements conditions = Elements.of(condition);
    Elements as = Elements.of(a);
    Elements bs = Elements.of(b);
    Elements ys = Elements.of(y);
    Loops loops = Loops.of(condition.layout(), a.layout(), b.layout(), y.layout());
    for (long run = 0; run < loops.runs(); run++) {
      long c = loops.start(0, run);
      long i = loops.start(1, run);
      long j = loops.start(2, run);
      long k = loops.start(3, run);
      for (long n = 0; n < loops.runLength(); n++) {
        ys.set(k, conditions.get(c) != 0 ? as.get(i) : bs.get(j));
        c += loops.runStride(0);
        i += loops.runStride(1);
        j += loops.runStride(2);
        k += loops.runStride(3);
      }
    }
  }

  private static double round(double number, DType type) {
    return switch (type) {
      case F32, BF16, F16 -> (float) number;
      case F64, BOOL -> number;
      case I32 -> (int) number;
    };
  }

  private static void map(DoubleUnaryOperator f, NdArray x, NdArray y) {
    Elements xs = Elements.of(x);
    Elements ys = Elements.of(y);
    Loops loops = Loops.of(x.layout(), y.layout());
    for (long run = 0; run < loops.runs(); run++) {
      long i = loops.start(0, run);
      long j = loops.start(1, run);
      for (long n = 0; n < loops.runLength(); n++) {
        ys.set(j, f.applyAsDouble(xs.get(i)));
        i += loops.runStride(0);
        j += loops.runStride(1);
      }
    }
  }

  private static void map(DoubleBinaryOperator f, NdArray a, NdArray b, NdArray y) {
    Elements as = Elements.of(a);
    Elements bs = Elements.of(b);
    Elements ys = Elements.of(y);
    Loops loops = Loops.of(a.layout(), b.layout(), y.layout());
    for (long run = 0; run < loops.runs(); run++) {
      long i = loops.start(0, run);
      long j = loops.start(1, run);
      long k = loops.start(2, run);
      for (long n = 0; n < loops.runLength(); n++) {
        ys.set(k, f.applyAsDouble(as.get(i), bs.get(j)));
        i += loops.runStride(0);
        j += loops.runStride(1);
        k += loops.runStride(2);
      }
    }
  }

  // ---- reductions and scans

  @Override
  public void reduce(Reduce op, NdArray x, NdArray y) {
    double[] results = new double[Math.toIntExact(y.elements())];
    Arrays.fill(
        results,
        switch (op) {
          case SUM -> 0;
          case MAX -> Double.NEGATIVE_INFINITY;
          case MIN -> Double.POSITIVE_INFINITY;
        });
    DoubleBinaryOperator f =
        switch (op) {
          case SUM -> Double::sum;
          case MAX -> Math::max;
          case MIN -> Math::min;
        };
    Elements xs = Elements.of(x);
    Loops loops = Loops.of(x.layout(), Layout.of(y.shape()).expand(x.shape()));
    for (long run = 0; run < loops.runs(); run++) {
      long i = loops.start(0, run);
      long j = loops.start(1, run);
      for (long n = 0; n < loops.runLength(); n++) {
        results[(int) j] = f.applyAsDouble(results[(int) j], xs.get(i));
        i += loops.runStride(0);
        j += loops.runStride(1);
      }
    }
    boolean wraps = op == Reduce.SUM && y.dtype() == DType.I32;
    Elements ys = Elements.of(y);
    for (int j = 0; j < results.length; j++) {
      ys.set(y.layout().at(j), wraps ? (int) (long) results[j] : results[j]);
    }
  }

  @Override
  public void argmax(NdArray x, int axis, NdArray y) {
    Elements xs = Elements.of(x);
    Elements ys = Elements.of(y);
    Layout rows = rows(x.layout(), axis, y.shape());
    long stride = x.layout().stride(axis);
    for (long row = 0; row < y.elements(); row++) {
      long start = rows.at(row);
      long best = 0;
      for (long n = 1; n < x.dim(axis); n++) {
        if (order(xs.get(start + n * stride), xs.get(start + best * stride)) > 0) {
          best = n;
        }
      }
      ys.set(y.layout().at(row), best);
    }
  }

  @Override
  public void cumulativeSum(NdArray x, int axis, NdArray y) {
    Elements xs = Elements.of(x);
    Elements ys = Elements.of(y);
    Shape shape = x.shape().with(axis, 1);
    Layout from = rows(x.layout(), axis, shape);
    Layout to = rows(y.layout(), axis, shape);
    for (long row = 0; row < shape.elements(); row++) {
      double sum = 0;
      for (long n = 0; n < x.dim(axis); n++) {
        sum += xs.get(from.at(row) + n * x.layout().stride(axis));
        double value = y.dtype() == DType.I32 ? (int) (long) sum : sum;
        ys.set(to.at(row) + n * y.layout().stride(axis), value);
      }
    }
  }

  @Override
  public void sort(NdArray x, boolean descending, NdArray values, NdArray indices) {
    Elements xs = Elements.of(x);
    Elements sorted = Elements.of(values);
    Elements places = Elements.of(indices);
    int columns = Math.toIntExact(x.dim(-1));
    for (long start = 0; start < x.elements(); start += columns) {
      double[] row = new double[columns];
      List<Integer> order = new ArrayList<>(columns);
      for (int n = 0; n < columns; n++) {
        row[n] = xs.get(x.layout().at(start + n));
        order.add(n);
      }
      order.sort((i, j) -> descending ? order(row[j], row[i]) : order(row[i], row[j]));
      for (int n = 0; n < columns; n++) {
        sorted.set(values.layout().at(start + n), row[order.get(n)]);
        places.set(indices.layout().at(start + n), order.get(n));
      }
    }
  }

  // By size, with NaN above everything; unlike Double.compare, −0 equals 0.
  private static int order(double a, double b) {
    return a < b ? -1 : a > b ? 1 : Boolean.compare(Double.isNaN(a), Double.isNaN(b));
  }

  // Where the rows along `axis` of an array start, as a layout of `shape`: the array's, but for
  // `axis`, along which nothing moves.
  private static Layout rows(Layout layout, int axis, Shape shape) {
    long[] strides = layout.strides();
    strides[layout.shape().axis("rows", axis)] = 0;
    return Layout.of(shape, strides, layout.offset());
  }

  // ---- linear algebra

  @Override
  public void matmul(NdArray a, NdArray b, NdArray y, boolean accumulate) {
    int rows = Math.toIntExact(y.dim(-2));
    int inner = Math.toIntExact(a.dim(-1));
    int columns = Math.toIntExact(y.dim(-1));
    Layout as = matrices(a);
    Layout bs = matrices(b);
    Layout ys = matrices(y);
    for (long batch = 0; batch < ys.shape().elements(); batch++) {
      double[] left = load(a, as.at(batch));
      double[] right = load(b, bs.at(batch));
      double[] sums = accumulate ? load(y, ys.at(batch)) : new double[rows * columns];
      for (int m = 0; m < rows; m++) {
        for (int k = 0; k < inner; k++) {
          double factor = left[m * inner + k];
          for (int n = 0; n < columns; n++) {
            sums[m * columns + n] += factor * right[k * columns + n];
          }
        }
      }
      store(sums, y, ys.at(batch));
    }
  }

  // Where the matrices of the last two axes start.
  private static Layout matrices(NdArray x) {
    Layout layout = x.layout();
    return Layout.of(
        x.shape().leading(-2), Arrays.copyOf(layout.strides(), x.rank() - 2), layout.offset());
  }

  private static double[] load(NdArray x, long start) {
    Elements xs = Elements.of(x);
    int rows = Math.toIntExact(x.dim(-2));
    int columns = Math.toIntExact(x.dim(-1));
    double[] matrix = new double[Math.multiplyExact(rows, columns)];
    for (int m = 0; m < rows; m++) {
      for (int n = 0; n < columns; n++) {
        matrix[m * columns + n] =
            xs.get(start + m * x.layout().stride(-2) + n * x.layout().stride(-1));
      }
    }
    return matrix;
  }

  private static void store(double[] matrix, NdArray y, long start) {
    Elements ys = Elements.of(y);
    int rows = Math.toIntExact(y.dim(-2));
    int columns = Math.toIntExact(y.dim(-1));
    for (int m = 0; m < rows; m++) {
      for (int n = 0; n < columns; n++) {
        ys.set(
            start + m * y.layout().stride(-2) + n * y.layout().stride(-1), matrix[m * columns + n]);
      }
    }
  }

  // ---- by index

  @Override
  public void gather(NdArray x, int axis, NdArray indices, NdArray y) {
    Elements xs = Elements.of(x);
    Elements ys = Elements.of(y);
    Elements is = Elements.of(indices);
    Layout rows = rows(x.layout(), axis, y.shape());
    long stride = x.layout().stride(axis);
    for (long i = 0; i < y.elements(); i++) {
      long index = checked("gather", is, indices, i, x.dim(axis));
      ys.set(y.layout().at(i), xs.get(rows.at(i) + index * stride));
    }
  }

  @Override
  public void scatterAdd(NdArray x, int axis, NdArray indices, NdArray y) {
    Elements xs = Elements.of(x);
    Elements ys = Elements.of(y);
    Elements is = Elements.of(indices);
    for (long i = 0; i < indices.elements(); i++) { // before anything is changed
      long _ = checked("scatterAdd", is, indices, i, y.dim(axis));
    }
    Layout sumLayout = Layout.of(y.shape());
    double[] sums = new double[Math.toIntExact(y.elements())];
    for (int j = 0; j < sums.length; j++) {
      sums[j] = ys.get(y.layout().at(j));
    }
    Layout rows = rows(sumLayout, axis, x.shape());
    long stride = sumLayout.stride(axis);
    for (long i = 0; i < x.elements(); i++) {
      long index = checked("scatterAdd", is, indices, i, y.dim(axis));
      sums[(int) (rows.at(i) + index * stride)] += xs.get(x.layout().at(i));
    }
    for (int j = 0; j < sums.length; j++) {
      ys.set(y.layout().at(j), sums[j]);
    }
  }

  private static long checked(String op, Elements values, NdArray indices, long i, long size) {
    long index = (long) values.get(indices.layout().at(i));
    if (index < 0 || index >= size) {
      throw new IndexOutOfBoundsException(
          op
              + ": index outside the axis; got "
              + index
              + " at position "
              + position(indices.layout(), i)
              + "; need 0 <= index < "
              + size);
    }
    return index;
  }

  // The index of the element with the row-major number `linear`, without broadcast axes.
  private static List<Long> position(Layout layout, long linear) {
    List<Long> position = new ArrayList<>();
    for (int axis = layout.shape().rank() - 1; axis >= 0; axis--) {
      long dim = layout.shape().dim(axis);
      if (layout.stride(axis) != 0) {
        position.addFirst(linear % dim);
      }
      linear /= dim;
    }
    return position;
  }

  // ---- randomness

  @Override
  public void random(NdArray state, int stream, NdArray y) {
    MemorySegment words = bytes(state);
    int key0 = words.getAtIndex(JAVA_INT, 0);
    int key1 = words.getAtIndex(JAVA_INT, 1);
    int step0 = words.getAtIndex(JAVA_INT, 2);
    int step1 = words.getAtIndex(JAVA_INT, 3);
    Elements ys = Elements.of(y);
    long offset = y.layout().offset();
    int[] block = new int[4];
    for (long i = 0; i < y.elements(); i++) {
      if (i % 4 == 0) {
        Philox.block(key0, key1, (int) (i / 4), stream, step0, step1, block);
      }
      int bits = block[(int) (i % 4)];
      ys.set(offset + i, y.dtype() == DType.I32 ? bits : Philox.uniform(bits));
    }
  }

  // ---- control

  @Override
  public void synchronize() {}

  @Override
  public void close() {
    memory.close();
  }
}
