package fornax.tensor;

import fornax.array.DType;
import fornax.array.DTypeException;
import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.backend.Backend;
import fornax.backend.Backends;
import fornax.backend.NdArray;
import fornax.backend.Owner;
import java.lang.foreign.MemorySegment;
import java.util.function.Consumer;

/// Makes tensors on one device: `Tensors.on(backend).zeros(DType.F32, Shape.of(2, 3))`.
public final class Tensors {
  private final Backend backend;

  private Tensors(Backend backend) {
    this.backend = backend;
  }

  public static Tensors on(Backend backend) {
    return new Tensors(backend);
  }

  /// On [Backends#current()].
  public static Tensors current() {
    return new Tensors(Backends.current());
  }

  /// F32.
  public Tensor of(float[] values, Shape shape) {
    return from(MemorySegment.ofArray(values), DType.F32, shape);
  }

  /// I32.
  public Tensor of(int[] values, Shape shape) {
    return from(MemorySegment.ofArray(values), DType.I32, shape);
  }

  /// BOOL.
  public Tensor of(boolean[] values, Shape shape) {
    byte[] bytes = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      bytes[i] = (byte) (values[i] ? 1 : 0);
    }
    return from(MemorySegment.ofArray(bytes), DType.BOOL, shape);
  }

  /// Of the floating type `dtype`, rounded to nearest.
  public Tensor of(double[] values, DType dtype, Shape shape) {
    return switch (dtype) {
      case F64 -> from(MemorySegment.ofArray(values), dtype, shape);
      case F32 -> of(floats(values), shape);
      case BF16, F16 -> {
        short[] bits = new short[values.length];
        for (int i = 0; i < bits.length; i++) {
          bits[i] = dtype.toHalf((float) values[i]);
        }
        yield from(MemorySegment.ofArray(bits), dtype, shape);
      }
      case I32 -> {
        int[] ints = new int[values.length];
        for (int i = 0; i < ints.length; i++) {
          ints[i] = (int) values[i];
        }
        yield of(ints, shape);
      }
      case BOOL -> {
        boolean[] bits = new boolean[values.length];
        for (int i = 0; i < bits.length; i++) {
          bits[i] = values[i] != 0;
        }
        yield of(bits, shape);
      }
    };
  }

  private static float[] floats(double[] values) {
    float[] narrow = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      narrow[i] = (float) values[i];
    }
    return narrow;
  }

  /// The elements of `data`: row-major, of type `dtype`, in native byte order; copied.
  ///
  /// @throws ShapeException if `data` has another size than `shape` needs
  public Tensor from(MemorySegment data, DType dtype, Shape shape) {
    long given = data.byteSize() / dtype.bytes();
    if (given != shape.elements() || given * dtype.bytes() != data.byteSize()) {
      throw new ShapeException(
          "tensor: number of values and shape differ; got "
              + given
              + " values for "
              + shape
              + "; need "
              + shape.elements());
    }
    return make(dtype, shape, y -> backend.upload(data, y));
  }

  public Tensor zeros(DType dtype, Shape shape) {
    return full(0, dtype, shape);
  }

  public Tensor ones(DType dtype, Shape shape) {
    return full(1, dtype, shape);
  }

  public Tensor full(double value, DType dtype, Shape shape) {
    return make(dtype, shape, y -> backend.fill(y, value));
  }

  /// `start + i·step` for i = 0 .. `count` − 1.
  ///
  /// @throws DTypeException if `dtype` is BOOL
  public Tensor range(DType dtype, double start, double step, long count) {
    if (dtype == DType.BOOL) {
      throw new DTypeException("range: not numbers; got BOOL; need I32 or a floating type");
    }
    return make(dtype, Shape.of(count), y -> backend.range(y, start, step));
  }

  /// Uniform numbers in [0, 1), made on the device.
  public Tensor randomUniform(Generator generator, Shape shape) {
    NdArray state = generator.state("randomUniform", backend);
    return make(DType.F32, shape, y -> backend.random(state, generator.nextStream(), y));
  }

  /// Normal numbers, made on the host: the same on every device.
  public Tensor randomNormal(Generator generator, double mean, double deviation, Shape shape) {
    float[] values =
        HostRandom.normals(
            generator.seed(),
            generator.step(),
            generator.nextStream(),
            Math.toIntExact(shape.elements()));
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (mean + deviation * values[i]);
    }
    return of(values, shape);
  }

  private Tensor make(DType dtype, Shape shape, Consumer<NdArray> fill) {
    return Tensor.wrap(backend, made(backend, dtype, shape, Owner.ACTIVATIONS, fill), null);
  }

  /// A new array that `fill` has written; released where it fails.
  static NdArray made(
      Backend backend, DType dtype, Shape shape, Owner owner, Consumer<NdArray> fill) {
    NdArray y = backend.memory().allocate(dtype, shape, owner);
    try {
      fill.accept(y);
    } catch (RuntimeException | Error e) {
      y.buffer().release();
      throw e;
    }
    return y;
  }
}
