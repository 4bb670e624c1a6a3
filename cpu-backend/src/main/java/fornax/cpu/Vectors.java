package fornax.cpu;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/// Loads, stores and folds of float vectors, for the vector kernels. Places are bytes from the
/// start of a segment.
final class Vectors {
  static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
  static final VectorSpecies<Integer> INTS = IntVector.SPECIES_PREFERRED;
  static final int LANES = SPECIES.length();
  private static final VectorSpecies<Short> SHORTS =
      VectorSpecies.of(short.class, VectorShape.forBitSize(SPECIES.vectorBitSize() / 2));
  static final ByteOrder ORDER = ByteOrder.nativeOrder();

  // What the exponents of a float and of an F16 of one value differ by, in a float's place.
  private static final int F16_BIAS = (127 - 15) << 23;
  private static final int F16_INFINITY = 0x7c00 << 13;

  private static final VectorShuffle<Float> BY_8 = rotation(8);
  private static final VectorShuffle<Float> BY_4 = rotation(4);
  private static final VectorShuffle<Float> BY_2 = rotation(2);
  private static final VectorShuffle<Float> BY_1 = rotation(1);

  private static final Class<?> NATIVE = MemorySegment.NULL.getClass();

  private Vectors() {}

  /// `x`, of which the compiler knows from here on that it is native memory.
  ///
  /// By itself it goes by what it has seen: the Vector API, where it is interpreted, reinterprets
  /// vectors by way of arrays of bytes. After that every access of a vector to a segment might be
  /// to the heap, and stands in a loop with all its checks, between memory barriers: 1.8 ns instead
  /// of 0.6 for a vector stored as BF16.
  static MemorySegment known(MemorySegment x) {
    if (x.getClass() != NATIVE) {
      throw new IllegalArgumentException("cpu: not native memory; got " + x);
    }
    return x;
  }

  static FloatVector load(MemorySegment x, long at) {
    return FloatVector.fromMemorySegment(SPECIES, known(x), at, ORDER);
  }

  /// Lanes outside the mask are 0 and not read.
  static FloatVector load(MemorySegment x, long at, VectorMask<Float> mask) {
    return FloatVector.fromMemorySegment(SPECIES, known(x), at, ORDER, mask);
  }

  static void store(FloatVector v, MemorySegment y, long at) {
    v.intoMemorySegment(known(y), at, ORDER);
  }

  static void store(FloatVector v, MemorySegment y, long at, VectorMask<Float> mask) {
    v.intoMemorySegment(known(y), at, ORDER, mask);
  }

  /// The floats of BF16 elements.
  static FloatVector loadBFloat16(MemorySegment x, long at) {
    ShortVector bits = ShortVector.fromMemorySegment(SHORTS, known(x), at, ORDER);
    return ((IntVector) bits.convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0))
        .lanewise(VectorOperators.LSHL, 16)
        .reinterpretAsFloats();
  }

  /// To BF16, rounded to nearest even; NaN stays a quiet NaN.
  static void storeBFloat16(FloatVector v, MemorySegment y, long at) {
    IntVector bits = v.reinterpretAsInts();
    IntVector upper = bits.lanewise(VectorOperators.LSHR, 16);
    IntVector rounded = bits.add(upper.and(1)).add(0x7fff).lanewise(VectorOperators.LSHR, 16);
    VectorMask<Integer> nan = v.compare(VectorOperators.NE, v).cast(INTS);
    rounded
        .blend(upper.or(0x40), nan)
        .convertShape(VectorOperators.I2S, SHORTS, 0)
        .reinterpretAsShorts()
        .intoMemorySegment(known(y), at, ORDER);
  }

  /// The floats of F16 elements. Exponent and mantissa move to where a float has them, and the
  /// exponent's bias is added; a subnormal's mantissa becomes that of 2⁻¹⁴, which is taken off.
  static FloatVector loadFloat16(MemorySegment x, long at) {
    IntVector bits =
        (IntVector)
            ShortVector.fromMemorySegment(SHORTS, known(x), at, ORDER)
                .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0);
    IntVector sign = bits.and(0x8000).lanewise(VectorOperators.LSHL, 16);
    IntVector moved = bits.and(0x7fff).lanewise(VectorOperators.LSHL, 13);
    IntVector normal = moved.add(F16_BIAS);
    IntVector wide = normal.add(F16_BIAS, moved.compare(VectorOperators.GE, F16_INFINITY));
    IntVector small = normal.add(1 << 23).reinterpretAsFloats().sub(0x1p-14f).reinterpretAsInts();
    return wide.blend(small, moved.compare(VectorOperators.LT, 1 << 23))
        .or(sign)
        .reinterpretAsFloats();
  }

  /// To F16, rounded to nearest even; NaN stays a quiet NaN. What will be subnormal is rounded by
  /// an addition at whose end its last bit stands.
  static void storeFloat16(FloatVector v, MemorySegment y, long at) {
    IntVector bits = v.reinterpretAsInts();
    IntVector size = bits.and(0x7fffffff);
    IntVector sign = bits.lanewise(VectorOperators.LSHR, 16).and(0x8000);
    IntVector odd = size.lanewise(VectorOperators.LSHR, 13).and(1);
    IntVector normal = size.sub(F16_BIAS - 0xfff).add(odd).lanewise(VectorOperators.LSHR, 13);
    IntVector small =
        size.reinterpretAsFloats().add(0.5f).reinterpretAsInts().sub(Float.floatToRawIntBits(0.5f));
    IntVector nan = size.lanewise(VectorOperators.LSHR, 13).and(0x3ff).or(0x7e00);
    normal
        .blend(small, size.compare(VectorOperators.LT, Float.floatToRawIntBits(0x1p-14f)))
        .blend(0x7c00, size.compare(VectorOperators.GE, Float.floatToRawIntBits(0x1p16f)))
        .blend(nan, size.compare(VectorOperators.GT, 0x7f800000))
        .or(sign)
        .convertShape(VectorOperators.I2S, SHORTS, 0)
        .reinterpretAsShorts()
        .intoMemorySegment(known(y), at, ORDER);
  }

  static FloatVector all(float value) {
    return FloatVector.broadcast(SPECIES, value);
  }

  /// The mask of the elements from `body` to `n`, fewer than a vector's.
  static VectorMask<Float> tail(int body, int n) {
    return SPECIES.indexInRange(body, n);
  }

  /// The sum of the [Rows#PARTIALS] floats at `sums`, each added to the one half the number further
  /// on until one is left: the order does not depend on the vector's width.
  static float foldSum(MemorySegment sums) {
    for (int half = Rows.PARTIALS / 2; half >= LANES; half >>= 1) {
      for (int i = 0; i < half; i += LANES) {
        store(load(sums, 4L * i).add(load(sums, 4L * (i + half))), sums, 4L * i);
      }
    }
    return fold(load(sums, 0));
  }

  /// The sum of a vector's lanes in the order of [#foldSum].
  static float fold(FloatVector sums) {
    FloatVector v = sums;
    if (LANES > 8) {
      v = v.add(v.rearrange(BY_8));
    }
    if (LANES > 4) {
      v = v.add(v.rearrange(BY_4));
    }
    v = v.add(v.rearrange(BY_2));
    return v.add(v.rearrange(BY_1)).lane(0);
  }

  private static VectorShuffle<Float> rotation(int by) {
    return VectorShuffle.fromOp(SPECIES, i -> (i + by) % LANES);
  }
}
