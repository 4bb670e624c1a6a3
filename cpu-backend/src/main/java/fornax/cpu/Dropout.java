package fornax.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import fornax.array.DType;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import fornax.backend.Philox;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/// Random words and numbers, and dropout, which compares such words with a threshold. Block by
/// block, so that the words stay in the first-level cache.
final class Dropout {
  private static final int COST = 16; // of an element, in multiply-adds
  private static final int BLOCK = BlockLoop.BLOCK;

  private Dropout() {}

  /// The work on a block: the elements from `first` on, and their words.
  @FunctionalInterface
  private interface Block {
    void run(long first, int n, MemorySegment words);
  }

  static void random(Workers workers, NdArray state, int stream, NdArray y) {
    MemorySegment data = HostBlock.segment(y);
    DType type = y.dtype();
    long offset = y.layout().offset();
    boolean ints = type == DType.I32;
    forBlocks(
        workers,
        state,
        stream,
        y.elements(),
        (first, n, words) -> {
          if (!ints) {
            for (int i = 0; i < n; i++) {
              words.set(JAVA_FLOAT, 4L * i, Philox.uniform(words.get(JAVA_INT, 4L * i)));
            }
          }
          Words.write(type, ints, words, 0, n, data, offset + first, 1);
        });
  }

  static void dropout(Workers workers, NdArray x, double p, NdArray state, int stream, NdArray y) {
    MemorySegment from = HostBlock.segment(x);
    MemorySegment to = HostBlock.segment(y);
    int threshold = Philox.keepThreshold(p) + Integer.MIN_VALUE; // unsigned order as signed
    float factor = (float) (1 / (1 - p));
    forBlocks(
        workers,
        state,
        stream,
        x.elements(),
        (first, n, words) -> {
          MemorySegment block = Scratch.get().words(Scratch.OPERANDS, BLOCK);
          Words.read(x.dtype(), false, from, x.layout().offset() + first, 1, n, block, 0);
          if (Simd.AVAILABLE) {
            Kernels.drop(words, threshold, factor, block, n);
          } else {
            drop(words, threshold, factor, block, n);
          }
          Words.write(y.dtype(), false, block, 0, n, to, y.layout().offset() + first, 1);
        });
  }

  private static void drop(
      MemorySegment words, int threshold, float factor, MemorySegment x, int n) {
    for (int i = 0; i < n; i++) {
      boolean keep = words.get(JAVA_INT, 4L * i) + Integer.MIN_VALUE >= threshold;
      x.set(JAVA_FLOAT, 4L * i, keep ? x.get(JAVA_FLOAT, 4L * i) * factor : 0);
    }
  }

  /// What dropout multiplies elements by: `factor` where an element's word, from byte `word` of
  /// `words` on, is kept, else 0; up to a vector more is written.
  static void factors(
      MemorySegment words,
      long word,
      int threshold,
      float factor,
      MemorySegment y,
      long at,
      int n) {
    if (Simd.AVAILABLE) {
      Kernels.factors(words, word, threshold, factor, y, at, n);
      return;
    }
    for (int i = 0; i < n; i++) {
      boolean keep = words.get(JAVA_INT, word + 4L * i) + Integer.MIN_VALUE >= threshold;
      y.set(JAVA_FLOAT, at + 4L * i, keep ? factor : 0);
    }
  }

  private static void forBlocks(
      Workers workers, NdArray state, int stream, long elements, Block work) {
    var philox = new PhiloxKernel(state, stream);
    workers.parallel(
        COST * elements,
        (int) Math.ceilDiv(elements, BLOCK),
        task -> {
          long first = (long) task * BLOCK;
          int n = (int) Math.min(BLOCK, elements - first);
          MemorySegment words = Scratch.get().words(Scratch.OPERANDS + 1, BLOCK);
          philox.words(first, n, words);
          work.run(first, n, words);
        });
  }

  private static final class Kernels {
    // Whole vectors: the block has room for one more.
    static void drop(MemorySegment words, int threshold, float factor, MemorySegment x, int n) {
      for (int i = 0; i < n; i += Vectors.LANES) {
        FloatVector scaled = Vectors.load(x, 4L * i).mul(factor);
        Vectors.store(scaled.blend(0f, dropped(words, 4L * i, threshold)), x, 4L * i);
      }
    }

    static void factors(
        MemorySegment words,
        long word,
        int threshold,
        float factor,
        MemorySegment y,
        long at,
        int n) {
      FloatVector kept = Vectors.all(factor);
      for (int i = 0; i < n; i += Vectors.LANES) {
        Vectors.store(kept.blend(0f, dropped(words, word + 4L * i, threshold)), y, at + 4L * i);
      }
    }

    private static VectorMask<Float> dropped(MemorySegment words, long at, int threshold) {
      return IntVector.fromMemorySegment(Vectors.INTS, Vectors.known(words), at, Vectors.ORDER)
          .add(Integer.MIN_VALUE)
          .compare(VectorOperators.LT, threshold)
          .cast(Vectors.SPECIES);
    }
  }
}
