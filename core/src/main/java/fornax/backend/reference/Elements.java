package fornax.backend.reference;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import fornax.array.DType;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import java.lang.foreign.MemorySegment;

/// The elements of an array's buffer as doubles, whatever their type; chosen once per array. A
/// double holds every value of every type, so that reading is exact and writing rounds once.
///
/// Places are counted in elements from the start of the buffer, as [fornax.array.Layout#at(long)]
/// gives them.
abstract sealed class Elements {
  final MemorySegment segment;

  private Elements(MemorySegment segment) {
    this.segment = segment;
  }

  static Elements of(NdArray array) {
    MemorySegment segment = HostBlock.segment(array);
    return switch (array.dtype()) {
      case F32 -> new Floats(segment);
      case F64 -> new Doubles(segment);
      case BF16, F16 -> new Halves(segment, array.dtype());
      case I32 -> new Ints(segment);
      case BOOL -> new Booleans(segment);
    };
  }

  abstract double get(long place);

  abstract void set(long place, double value);

  private static final class Floats extends Elements {
    Floats(MemorySegment segment) {
      super(segment);
    }

    @Override
    double get(long place) {
      return segment.getAtIndex(JAVA_FLOAT, place);
    }

    @Override
    void set(long place, double value) {
      segment.setAtIndex(JAVA_FLOAT, place, (float) value);
    }
  }

  private static final class Doubles extends Elements {
    Doubles(MemorySegment segment) {
      super(segment);
    }

    @Override
    double get(long place) {
      return segment.getAtIndex(JAVA_DOUBLE, place);
    }

    @Override
    void set(long place, double value) {
      segment.setAtIndex(JAVA_DOUBLE, place, value);
    }
  }

  /// Rounds to F32 first, as arithmetic in F32 does.
  private static final class Halves extends Elements {
    private final DType type;

    Halves(MemorySegment segment, DType type) {
      super(segment);
      this.type = type;
    }

    @Override
    double get(long place) {
      return type.fromHalf(segment.getAtIndex(JAVA_SHORT, place));
    }

    @Override
    void set(long place, double value) {
      segment.setAtIndex(JAVA_SHORT, place, type.toHalf((float) value));
    }
  }

  /// Truncates; NaN becomes 0, and what is outside the range of an int its nearest end.
  private static final class Ints extends Elements {
    Ints(MemorySegment segment) {
      super(segment);
    }

    @Override
    double get(long place) {
      return segment.getAtIndex(JAVA_INT, place);
    }

    @Override
    void set(long place, double value) {
      segment.setAtIndex(JAVA_INT, place, (int) value);
    }
  }

  private static final class Booleans extends Elements {
    Booleans(MemorySegment segment) {
      super(segment);
    }

    @Override
    double get(long place) {
      return segment.get(JAVA_BYTE, place);
    }

    @Override
    void set(long place, double value) {
      segment.set(JAVA_BYTE, place, (byte) (value != 0 ? 1 : 0));
    }
  }
}
