package fornax.cpu;

import static fornax.cpu.Vectors.LANES;
import static fornax.cpu.Vectors.all;
import static fornax.cpu.Vectors.load;
import static fornax.cpu.Vectors.store;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import fornax.backend.Binary;
import fornax.backend.Compare;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/// The elementwise functions and comparisons of two arguments, and selection, on blocks of words:
/// `y = op(a, b)`. A truth value is the word 1.0 or 0.0. Vectors and scalars give the same bits.
final class BinaryKernels {
  private BinaryKernels() {}

  static void run(
      Binary op,
      MemorySegment a,
      long ao,
      MemorySegment b,
      long bo,
      MemorySegment y,
      long yo,
      int n) {
    if (!Simd.AVAILABLE || op == Binary.POWER) {
      for (int i = 0; i < n; i++) {
        float u = a.get(JAVA_FLOAT, ao + 4L * i);
        float v = b.get(JAVA_FLOAT, bo + 4L * i);
        y.set(JAVA_FLOAT, yo + 4L * i, apply(op, u, v));
      }
      return;
    }
    switch (op) {
      case ADD -> loop(Loop.ADD, a, ao, b, bo, y, yo, n);
      case SUBTRACT -> loop(Loop.SUBTRACT, a, ao, b, bo, y, yo, n);
      case MULTIPLY -> loop(Loop.MULTIPLY, a, ao, b, bo, y, yo, n);
      case DIVIDE -> loop(Loop.DIVIDE, a, ao, b, bo, y, yo, n);
      case MAXIMUM -> loop(Loop.MAXIMUM, a, ao, b, bo, y, yo, n);
      case MINIMUM -> loop(Loop.MINIMUM, a, ao, b, bo, y, yo, n);
      case POWER -> throw new AssertionError(op);
    }
  }

  /// I32 words: no DIVIDE, no POWER.
  static void runInts(
      Binary op,
      MemorySegment a,
      long ao,
      MemorySegment b,
      long bo,
      MemorySegment y,
      long yo,
      int n) {
    for (int i = 0; i < n; i++) {
      int u = a.get(JAVA_INT, ao + 4L * i);
      int v = b.get(JAVA_INT, bo + 4L * i);
      int result =
          switch (op) {
            case ADD -> u + v;
            case SUBTRACT -> u - v;
            case MULTIPLY -> u * v;
            case MAXIMUM -> Math.max(u, v);
            case MINIMUM -> Math.min(u, v);
            case DIVIDE, POWER -> throw Elementwise.unsupported(op, "I32");
          };
      y.set(JAVA_INT, yo + 4L * i, result);
    }
  }

  /// One element.
  static float apply(Binary op, float a, float b) {
    return switch (op) {
      case ADD -> a + b;
      case SUBTRACT -> a - b;
      case MULTIPLY -> a * b;
      case DIVIDE -> a / b;
      case MAXIMUM -> a >= b || Float.isNaN(a) ? a : b;
      case MINIMUM -> a <= b || Float.isNaN(a) ? a : b;
      case POWER -> (float) StrictMath.pow(a, b);
    };
  }

  static void compare(
      Compare op,
      MemorySegment a,
      long ao,
      MemorySegment b,
      long bo,
      MemorySegment y,
      long yo,
      int n) {
    if (!Simd.AVAILABLE) {
      for (int i = 0; i < n; i++) {
        float u = a.get(JAVA_FLOAT, ao + 4L * i);
        float v = b.get(JAVA_FLOAT, bo + 4L * i);
        y.set(JAVA_FLOAT, yo + 4L * i, holds(op, u, v) ? 1 : 0);
      }
      return;
    }
    switch (op) {
      case EQUAL -> loop(Loop.EQUAL, a, ao, b, bo, y, yo, n);
      case NOT_EQUAL -> loop(Loop.NOT_EQUAL, a, ao, b, bo, y, yo, n);
      case LESS -> loop(Loop.LESS, a, ao, b, bo, y, yo, n);
      case LESS_EQUAL -> loop(Loop.LESS_EQUAL, a, ao, b, bo, y, yo, n);
      case GREATER -> loop(Loop.GREATER, a, ao, b, bo, y, yo, n);
      case GREATER_EQUAL -> loop(Loop.GREATER_EQUAL, a, ao, b, bo, y, yo, n);
    }
  }

  /// I32 words.
  static void compareInts(
      Compare op,
      MemorySegment a,
      long ao,
      MemorySegment b,
      long bo,
      MemorySegment y,
      long yo,
      int n) {
    for (int i = 0; i < n; i++) {
      int order = Integer.compare(a.get(JAVA_INT, ao + 4L * i), b.get(JAVA_INT, bo + 4L * i));
      y.set(JAVA_FLOAT, yo + 4L * i, holds(op, order, 0) ? 1 : 0);
    }
  }

  private static boolean holds(Compare op, float a, float b) {
    return switch (op) {
      case EQUAL -> a == b;
      case NOT_EQUAL -> a != b;
      case LESS -> a < b;
      case LESS_EQUAL -> a <= b;
      case GREATER -> a > b;
      case GREATER_EQUAL -> a >= b;
    };
  }

  private static void loop(
      Loop which,
      MemorySegment a,
      long ao,
      MemorySegment b,
      long bo,
      MemorySegment y,
      long yo,
      int n) {
    VectorLoop.call(Loop.LOOPS, which, a, ao, b, bo, y, yo, n);
  }

  /// `y = condition ? a : b` on words of any kind.
  static void where(
      MemorySegment condition,
      long co,
      MemorySegment a,
      long ao,
      MemorySegment b,
      long bo,
      MemorySegment y,
      long yo,
      int n) {
    if (Simd.AVAILABLE) {
      Selection.where(condition, co, a, ao, b, bo, y, yo, n);
      return;
    }
    for (int i = 0; i < n; i++) {
      boolean first = condition.get(JAVA_FLOAT, co + 4L * i) != 0;
      int word = first ? a.get(JAVA_INT, ao + 4L * i) : b.get(JAVA_INT, bo + 4L * i);
      y.set(JAVA_INT, yo + 4L * i, word);
    }
  }

  /// Loaded only where there are vectors.
  private enum Loop {
    ADD(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(u.add(v), y, yo + 4L * i);
          }
        }),
    SUBTRACT(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(u.sub(v), y, yo + 4L * i);
          }
        }),
    MULTIPLY(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(u.mul(v), y, yo + 4L * i);
          }
        }),
    DIVIDE(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(u.div(v), y, yo + 4L * i);
          }
        }),
    MAXIMUM(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(
                v.blend(u, u.compare(VectorOperators.GE, v).or(u.compare(VectorOperators.NE, u))),
                y,
                yo + 4L * i);
          }
        }),
    MINIMUM(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(
                v.blend(u, u.compare(VectorOperators.LE, v).or(u.compare(VectorOperators.NE, u))),
                y,
                yo + 4L * i);
          }
        }),
    EQUAL(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(truth(u.compare(VectorOperators.EQ, v)), y, yo + 4L * i);
          }
        }),
    NOT_EQUAL(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(truth(u.compare(VectorOperators.NE, v)), y, yo + 4L * i);
          }
        }),
    LESS(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(truth(u.compare(VectorOperators.LT, v)), y, yo + 4L * i);
          }
        }),
    LESS_EQUAL(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(truth(u.compare(VectorOperators.LE, v)), y, yo + 4L * i);
          }
        }),
    GREATER(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(truth(u.compare(VectorOperators.GT, v)), y, yo + 4L * i);
          }
        }),
    GREATER_EQUAL(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(truth(u.compare(VectorOperators.GE, v)), y, yo + 4L * i);
          }
        });

    static final VectorLoop.OfTwo[] LOOPS =
        Arrays.stream(values()).map(value -> value.loop).toArray(VectorLoop.OfTwo[]::new);

    private final VectorLoop.OfTwo loop;

    Loop(VectorLoop.OfTwo loop) {
      this.loop = loop;
    }

    private static FloatVector truth(VectorMask<Float> mask) {
      return all(0f).blend(1f, mask);
    }
  }

  private static final class Selection {
    static void where(
        MemorySegment condition,
        long co,
        MemorySegment a,
        long ao,
        MemorySegment b,
        long bo,
        MemorySegment y,
        long yo,
        int n) {
      for (int i = 0; i < n; i += LANES) {
        VectorMask<Float> first = load(condition, co + 4L * i).compare(VectorOperators.NE, 0f);
        store(load(b, bo + 4L * i).blend(load(a, ao + 4L * i), first), y, yo + 4L * i);
      }
    }
  }
}
