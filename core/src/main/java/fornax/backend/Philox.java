package fornax.backend;

/// Philox 4x32-10: random bits as a pure function of a key and a counter, equal on every device.
/// Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC'11.
///
/// A random state is an I32 array of four words, `[seed low, seed high, step low, step high]`. Word
/// `i` of stream `s` is word `i mod 4` of the block with the key `(seed low, seed high)` and the
/// counter `(i / 4, s, step low, step high)`.
public final class Philox {
  /// The words of a random state.
  public static final int STATE_WORDS = 4;

  private static final int MULTIPLIER_0 = 0xD2511F53; // the paper's constants, as the next three
  private static final int MULTIPLIER_1 = 0xCD9E8D57;
  private static final int WEYL_0 = 0x9E3779B9;
  private static final int WEYL_1 = 0xBB67AE85;
  private static final int ROUNDS = 10;

  private Philox() {}

  /// Writes the four words of one block to `out`.
  public static void block(int key0, int key1, int c0, int c1, int c2, int c3, int[] out) {
    for (int round = 0; round < ROUNDS; round++) {
      long p0 = (MULTIPLIER_0 & 0xffffffffL) * (c0 & 0xffffffffL);
      long p1 = (MULTIPLIER_1 & 0xffffffffL) * (c2 & 0xffffffffL);
      int n0 = (int) (p1 >>> 32) ^ c1 ^ key0;
      int n2 = (int) (p0 >>> 32) ^ c3 ^ key1;
      c0 = n0;
      c1 = (int) p1;
      c2 = n2;
      c3 = (int) p0;
      key0 += WEYL_0;
      key1 += WEYL_1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
  }

  /// A uniform number in [0, 1 − 2⁻²³] from the upper 23 bits of `bits`; exact in F32, and its
  /// product with any total is below that total.
  public static float uniform(int bits) {
    return (bits >>> 9) * 0x1p-23f;
  }

  /// What a word must be at least, as an unsigned number, for an element to be kept by a dropout of
  /// probability `p`.
  public static int keepThreshold(double p) {
    return (int) Math.min(0xffffffffL, Math.round(p * 0x1p32));
  }
}
