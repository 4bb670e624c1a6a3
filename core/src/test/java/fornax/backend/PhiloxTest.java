package fornax.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class PhiloxTest {
  private static int[] block(int key0, int key1, int c0, int c1, int c2, int c3) {
    int[] out = new int[4];
    Philox.block(key0, key1, c0, c1, c2, c3, out);
    return out;
  }

  // The lines "philox4x32 10" of Random123's kat_vectors.
  @Test
  void block_givesThePublishedWords() {
    assertArrayEquals(
        new int[] {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}, block(0, 0, 0, 0, 0, 0));
    assertArrayEquals(
        new int[] {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}, block(-1, -1, -1, -1, -1, -1));
    assertArrayEquals(
        new int[] {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
        block(0xa4093822, 0x299f31d0, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344));
  }

  @Test
  void uniform_liesInItsRange() {
    assertEquals(0f, Philox.uniform(0x1ff));
    assertEquals(0.5f, Philox.uniform(0x80000000));
    assertEquals(1 - 0x1p-23f, Philox.uniform(-1));
  }

  @Test
  void keepThreshold_isTheProbabilityOf32Bits() {
    assertEquals(0, Philox.keepThreshold(0));
    assertEquals(0x80000000, Philox.keepThreshold(0.5));
    assertEquals(-1, Philox.keepThreshold(1));
    double part = Integer.toUnsignedLong(Philox.keepThreshold(0.1)) * 0x1p-32;
    assertTrue(Math.abs(part - 0.1) < 1e-9, () -> "got " + part);
  }
}
