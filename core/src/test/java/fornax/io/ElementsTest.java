package fornax.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.Shape;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.math.BigDecimal;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class ElementsTest {
  /// Every one of the 65,536 half-precision numbers against its definition `(-1)^s × 2^(e−15) ×
  /// 1.m`, or `2^−14 × 0.m` where e is 0.
  @Test
  void everyHalfIsReadExactlyAndWrittenBack() throws IOException {
    for (int bits = 0; bits < 1 << 16; bits++) {
      int exponent = bits >>> 10 & 31;
      int mantissa = bits & 1023;
      double magnitude;
      if (exponent == 31) {
        magnitude = mantissa == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
      } else if (exponent == 0) {
        magnitude = Math.scalb((double) mantissa, -24);
      } else {
        magnitude = Math.scalb((double) (1024 + mantissa), exponent - 25);
      }
      var stored = tensor(FileDType.F16, bits);
      float value = stored.floats()[0];
      assertEquals((bits & 0x8000) == 0 ? magnitude : -magnitude, value, 0.0);
      assertEquals(value, stored.doubles()[0], 0.0);
      if (!Float.isNaN(value)) {
        assertEquals(bits, written(FileDType.F16, value));
      } else {
        assertTrue(Float.isNaN(tensor(FileDType.F16, written(FileDType.F16, value)).floats()[0]));
      }
    }
  }

  @Test
  void everyBf16IsReadExactlyAndWrittenBack() throws IOException {
    for (int bits = 0; bits < 1 << 16; bits++) {
      float value = tensor(FileDType.BF16, bits).floats()[0];
      assertEquals(bits << 16, Float.floatToRawIntBits(value));
      int back = written(FileDType.BF16, value);
      if (Float.isNaN(value)) {
        assertEquals(bits | 0x40, back); // the same NaN, quiet
      } else {
        assertEquals(bits, back);
      }
    }
  }

  /// Against exact decimal arithmetic: no representable number lies nearer, and a tie goes to the
  /// even one.
  @Test
  void bf16IsRoundedToNearestEven() {
    var random = new SplittableRandom(3);
    int ties = 0;
    for (int i = 0; i < 20_000; i++) {
      int raw = random.nextInt() & 0x7fffffff;
      float value = Float.intBitsToFloat(i % 4 == 0 ? (raw & 0xffff8000) | 0x8000 : raw);
      if (!(value < Float.intBitsToFloat(0x7f7f0000))) {
        continue;
      }
      int below = Float.floatToRawIntBits(value) >>> 16;
      BigDecimal exact = new BigDecimal(value);
      BigDecimal down = exact.subtract(new BigDecimal(Elements.fromBf16((short) below)));
      BigDecimal up = new BigDecimal(Elements.fromBf16((short) (below + 1))).subtract(exact);
      int order = down.compareTo(up);
      if (order == 0) {
        ties++;
      }
      int want = order < 0 || (order == 0 && below % 2 == 0) ? below : below + 1;
      assertEquals(want, Elements.toBf16(value) & 0xffff, () -> "of " + value);
      assertEquals(want | 0x8000, Elements.toBf16(-value) & 0xffff, () -> "of -" + value);
    }
    assertTrue(ties > 1000, "ties " + ties);
    assertEquals(0x7f80, Elements.toBf16(Float.MAX_VALUE) & 0xffff);
    assertEquals(0x7f80, Elements.toBf16(Float.POSITIVE_INFINITY) & 0xffff);
    assertEquals(0x0000, Elements.toBf16(Float.MIN_VALUE) & 0xffff);
    assertTrue(Float.isNaN(Elements.fromBf16(Elements.toBf16(Float.intBitsToFloat(0x7f800001)))));
  }

  @Test
  void halfIsRoundedToNearestEven() {
    assertEquals(0x6400, written(FileDType.F16, 1024.5f));
    assertEquals(0x6402, written(FileDType.F16, 1025.5f));
    assertEquals(0x7bff, written(FileDType.F16, 65519.996f));
    assertEquals(0x7c00, written(FileDType.F16, 65520f));
    assertEquals(0x0000, written(FileDType.F16, 0x1p-25f));
    assertEquals(0x0001, written(FileDType.F16, 0x1.000002p-25f));
    assertEquals(0x8002, written(FileDType.F16, -0x3p-25f));
  }

  @Test
  void f64IsRoundedToFloat() throws IOException {
    assertArrayEquals(
        new float[] {0.1f, Float.MIN_VALUE, -0f, Float.NEGATIVE_INFINITY},
        HostTensor.ofDoubles(Shape.of(4), 0.1, 1.3e-45, -0.0, Double.NEGATIVE_INFINITY).floats());
  }

  @Test
  void valuesThatDoNotFitAreRefused() {
    var shape = Shape.of(1);
    for (FileDType dtype : new FileDType[] {FileDType.U8, FileDType.BOOL}) {
      for (int value : new int[] {-1, 256}) {
        assertThrows(IllegalArgumentException.class, () -> HostTensor.ofInts(dtype, shape, value));
      }
    }
    assertThrows(IllegalArgumentException.class, () -> HostTensor.ofInts(FileDType.F32, shape, 1));
    assertThrows(
        IllegalArgumentException.class, () -> HostTensor.ofFloats(FileDType.I32, shape, 1));
    assertThrows(
        IllegalArgumentException.class, () -> HostTensor.ofFloats(FileDType.F32, shape, 1, 2));
  }

  private static HostTensor tensor(FileDType dtype, int bits) {
    var bytes = MemorySegment.ofArray(new byte[2]);
    bytes.set(Elements.SHORT, 0, (short) bits);
    return HostTensor.of(dtype, Shape.of(1), bytes);
  }

  private static int written(FileDType dtype, float value) {
    return HostTensor.ofFloats(dtype, Shape.of(1), value).bytes().get(Elements.SHORT, 0) & 0xffff;
  }
}
