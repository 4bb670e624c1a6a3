package fornax.cpu;

import fornax.array.DType;
import fornax.backend.Binary;
import fornax.backend.Compare;
import fornax.backend.NdArray;
import fornax.backend.Unary;
import java.lang.foreign.MemorySegment;

/// Elementwise operations: [BlockLoop] over [UnaryKernels], [UnaryGradientKernels] and
/// [BinaryKernels].
final class Elementwise {
  // Costs of an element in multiply-adds: reading and writing memory, and a transcendental
  // function.
  private static final int STREAM = 3;
  private static final int TRANSCENDENTAL = 12;

  private Elementwise() {}

  static void unary(Workers workers, Unary op, NdArray x, NdArray y) {
    boolean ints = x.dtype() == DType.I32;
    new BlockLoop(ints, -1, 0, cost(op), x, y) {
      @Override
      void block(MemorySegment[] words, long[] at, int n) {
        if (ints) {
          UnaryKernels.runInts(op, words[0], at[0], words[1], at[1], n);
        } else {
          UnaryKernels.run(op, words[0], at[0], words[1], at[1], n);
        }
      }
    }.run(workers);
  }

  static void unaryGradient(
      Workers workers, Unary op, NdArray x, NdArray y, NdArray dy, NdArray dx) {
    NdArray given = UnaryGradientKernels.usesResult(op) ? y : x;
    new BlockLoop(false, -1, 0, cost(op), given, dy, dx) {
      @Override
      void block(MemorySegment[] words, long[] at, int n) {
        UnaryGradientKernels.run(op, words[0], at[0], words[1], at[1], words[2], at[2], n);
      }
    }.run(workers);
  }

  static void binary(Workers workers, Binary op, NdArray a, NdArray b, NdArray y) {
    new BinaryLoop(op, -1, 0, a, b, y).run(workers);
  }

  static void binary(Workers workers, Binary op, NdArray a, double b, NdArray y) {
    new BinaryLoop(op, 1, word(a, b), a, a, y).run(workers);
  }

  static void compare(Workers workers, Compare op, NdArray a, NdArray b, NdArray y) {
    new CompareLoop(op, -1, 0, a, b, y).run(workers);
  }

  static void compare(Workers workers, Compare op, NdArray a, double b, NdArray y) {
    new CompareLoop(op, 1, word(a, b), a, a, y).run(workers);
  }

  static void where(Workers workers, NdArray condition, NdArray a, NdArray b, NdArray y) {
    new BlockLoop(y.dtype() == DType.I32, -1, 0, STREAM, condition, a, b, y) {
      @Override
      void block(MemorySegment[] words, long[] at, int n) {
        BinaryKernels.where(words[0], at[0], words[1], at[1], words[2], at[2], words[3], at[3], n);
      }
    }.run(workers);
  }

  static IllegalArgumentException unsupported(Enum<?> op, String type) {
    return new IllegalArgumentException(
        "cpu: operation not defined for the type; got " + op + " of " + type);
  }

  private static int word(NdArray like, double value) {
    return like.dtype() == DType.I32 ? (int) value : Float.floatToRawIntBits((float) value);
  }

  private static int cost(Unary op) {
    return switch (op) {
      case NEGATE, ABS, SIGN, SQUARE, SQRT, RSQRT, RECIPROCAL, RELU -> STREAM;
      case EXP, LOG, TANH, SIGMOID, SOFTPLUS, SILU, GELU_TANH, GELU_ERF, ERF, SIN, COS ->
          TRANSCENDENTAL;
    };
  }

  private static final class BinaryLoop extends BlockLoop {
    private final Binary op;
    private final boolean ints;

    BinaryLoop(Binary op, int constant, int word, NdArray a, NdArray b, NdArray y) {
      super(a.dtype() == DType.I32, constant, word, STREAM, a, b, y);
      this.op = op;
      this.ints = a.dtype() == DType.I32;
    }

    @Override
    void block(MemorySegment[] words, long[] at, int n) {
      if (ints) {
        BinaryKernels.runInts(op, words[0], at[0], words[1], at[1], words[2], at[2], n);
      } else {
        BinaryKernels.run(op, words[0], at[0], words[1], at[1], words[2], at[2], n);
      }
    }
  }

  private static final class CompareLoop extends BlockLoop {
    private final Compare op;
    private final boolean ints;

    CompareLoop(Compare op, int constant, int word, NdArray a, NdArray b, NdArray y) {
      super(a.dtype() == DType.I32, constant, word, STREAM, a, b, y);
      this.op = op;
      this.ints = a.dtype() == DType.I32;
    }

    @Override
    void block(MemorySegment[] words, long[] at, int n) {
      if (ints) {
        BinaryKernels.compareInts(op, words[0], at[0], words[1], at[1], words[2], at[2], n);
      } else {
        BinaryKernels.compare(op, words[0], at[0], words[1], at[1], words[2], at[2], n);
      }
    }
  }
}
