package fornax.cpu;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import fornax.backend.Philox;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/// The words of a [Philox] stream, several blocks at a time in the lanes of long vectors.
final class PhiloxKernel {
  private static final int MULTIPLIER_0 = 0xD2511F53; // see Philox, as the next three
  private static final int MULTIPLIER_1 = 0xCD9E8D57;
  private static final int WEYL_0 = 0x9E3779B9;
  private static final int WEYL_1 = 0xBB67AE85;
  private static final int ROUNDS = 10;
  private static final long LOW = 0xffffffffL;

  private final int key0;
  private final int key1;
  private final int stream;
  private final int step0;
  private final int step1;

  /// Stream `stream` under the random state `state` as it is now.
  PhiloxKernel(NdArray state, int stream) {
    MemorySegment data = HostBlock.segment(state);
    this.key0 = data.get(JAVA_INT, 4 * state.layout().at(0));
    this.key1 = data.get(JAVA_INT, 4 * state.layout().at(1));
    this.stream = stream;
    this.step0 = data.get(JAVA_INT, 4 * state.layout().at(2));
    this.step1 = data.get(JAVA_INT, 4 * state.layout().at(3));
  }

  /// Writes words `first` to `first + n` to the words at 0 of `words`; `first` is a multiple of 4,
  /// and up to a vector more may be written.
  void words(long first, int n, MemorySegment words) {
    int done = 0;
    if (Simd.AVAILABLE && Simd.LANES >= 8) { // two lanes of long would not pay
      int step = 4 * Kernels.BLOCKS;
      for (; done + step <= n; done += step) {
        Kernels.blocks(this, (int) ((first + done) >>> 2), words, 4L * done);
      }
    }
    int[] block = new int[4];
    for (; done < n; done += 4) {
      Philox.block(key0, key1, (int) ((first + done) >>> 2), stream, step0, step1, block);
      for (int i = 0; i < 4; i++) {
        words.set(JAVA_INT, 4L * (done + i), block[i]);
      }
    }
  }

  private static final class Kernels {
    private static final VectorSpecies<Long> SPECIES = LongVector.SPECIES_PREFERRED;

    /// Blocks computed at a time.
    static final int BLOCKS = SPECIES.length();

    private static final LongVector COUNT = LongVector.zero(SPECIES).addIndex(1);

    // Each lane holds a 32-bit number without sign.
    static void blocks(PhiloxKernel p, int first, MemorySegment words, long at) {
      LongVector c0 = COUNT.add(first & LOW).and(LOW);
      LongVector c1 = LongVector.broadcast(SPECIES, p.stream & LOW);
      LongVector c2 = LongVector.broadcast(SPECIES, p.step0 & LOW);
      LongVector c3 = LongVector.broadcast(SPECIES, p.step1 & LOW);
      int k0 = p.key0;
      int k1 = p.key1;
      for (int round = 0; round < ROUNDS; round++) {
        LongVector p0 = c0.mul(MULTIPLIER_0 & LOW);
        LongVector p1 = c2.mul(MULTIPLIER_1 & LOW);
        c0 =
            p1.lanewise(VectorOperators.LSHR, 32)
                .lanewise(VectorOperators.XOR, c1)
                .lanewise(VectorOperators.XOR, k0 & LOW);
        c1 = p1.and(LOW);
        c2 =
            p0.lanewise(VectorOperators.LSHR, 32)
                .lanewise(VectorOperators.XOR, c3)
                .lanewise(VectorOperators.XOR, k1 & LOW);
        c3 = p0.and(LOW);
        k0 += WEYL_0;
        k1 += WEYL_1;
      }
      LongVector lower = c0.or(c1.lanewise(VectorOperators.LSHL, 32));
      LongVector upper = c2.or(c3.lanewise(VectorOperators.LSHL, 32));
      interleave(lower, upper, words, at);
    }

    private static void interleave(
        LongVector lower, LongVector upper, MemorySegment words, long at) {
      MemorySegment block = Vectors.known(Scratch.get().partials());
      lower.intoMemorySegment(block, 0, Vectors.ORDER);
      upper.intoMemorySegment(block, 8L * BLOCKS, Vectors.ORDER);
      for (int i = 0; i < BLOCKS; i++) {
        long low = block.get(JAVA_LONG_UNALIGNED, 8L * i);
        long high = block.get(JAVA_LONG_UNALIGNED, 8L * (i + BLOCKS));
        words.set(JAVA_LONG_UNALIGNED, at + 16L * i, low);
        words.set(JAVA_LONG_UNALIGNED, at + 16L * i + 8, high);
      }
    }
  }
}
