package fornax.cpu;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import fornax.array.DType;
import fornax.array.Layout;
import fornax.array.Loops;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/// The loop of all elementwise operations, over arrays of one shape with any types and layouts.
///
/// A kernel sees only blocks of contiguous 32-bit words (see [Words]), a whole number of vectors
/// long. Operands that lie so in memory are passed as they are; others are converted, gathered or
/// repeated into a scratch block first, and results scattered from one. The loop follows the
/// result's memory, so transposed arrays run as contiguous ones. Runs too short to be worth a call
/// are collected into common blocks.
abstract class BlockLoop implements Workers.Task {
  /// Words of a scratch block: all operands of a kernel stay in the first-level cache.
  static final int BLOCK = 1024;

  // Words of a block of operands that need no scratch.
  private static final int DIRECT_BLOCK = 8192;

  // Shorter runs share blocks.
  private static final int SHORT_RUN = 128;

  private final boolean ints;
  private final NdArray[] operands;
  private final MemorySegment[] data;
  private final Loops loops;
  private final long length;
  private final int blockLength;
  private final long blocksPerRun;
  private final int blocksPerTask;
  private final int cost;
  private final int constantWord;
  private final int constant;

  /// @param ints whether I32 elements are words as they are, not floats
  /// @param constant which operand is the number `constantWord` everywhere, or −1; its array only
  ///   stands for the shape
  /// @param cost of one element in multiply-adds, roughly
  /// @param operands the inputs, then the output
  BlockLoop(boolean ints, int constant, int constantWord, int cost, NdArray... operands) {
    this.ints = ints;
    this.constant = constant;
    this.constantWord = constantWord;
    this.cost = cost;
    this.operands = operands;
    int count = operands.length;
    this.data = new MemorySegment[count];
    Layout[] layouts = new Layout[count];
    Layout result = operands[count - 1].layout();
    int @Nullable [] axes = result.isContiguous() ? null : axes(result);
    for (int k = 0; k < count; k++) {
      data[k] = HostBlock.segment(operands[k]);
      Layout layout = operands[k].layout();
      layouts[k] = axes == null ? layout : layout.permute(axes);
    }
    this.loops = Loops.of(layouts);
    this.length = loops.runLength();
    boolean direct = true;
    for (int k = 0; k < count; k++) {
      direct &= isDirect(k);
    }
    this.blockLength = direct ? DIRECT_BLOCK : BLOCK;
    boolean shared = length < SHORT_RUN && loops.runs() > 1;
    this.blocksPerRun = shared ? 0 : Math.ceilDiv(length, blockLength);
    this.blocksPerTask =
        (int) Math.max(1, 2 * DIRECT_BLOCK / (shared ? BLOCK : Math.min(length + 1, blockLength)));
  }

  // The axes in the order in which the result lies in memory, the outermost first.
  private static int[] axes(Layout result) {
    int[] axes = new int[result.shape().rank()];
    for (int i = 0; i < axes.length; i++) {
      int at = i;
      for (; at > 0 && result.stride(axes[at - 1]) < result.stride(i); at--) {
        axes[at] = axes[at - 1];
      }
      axes[at] = i;
    }
    return axes;
  }

  /// Computes one block: `n` words of operand `k` begin at `at[k]` of `words[k]`; the last is the
  /// result.
  abstract void block(MemorySegment[] words, long[] at, int n);

  final void run(Workers workers) {
    long elements = operands[0].elements();
    if (elements == 0) {
      return;
    }
    long blocks = blocksPerRun == 0 ? Math.ceilDiv(elements, BLOCK) : loops.runs() * blocksPerRun;
    workers.parallel(elements * cost, (int) Math.ceilDiv(blocks, blocksPerTask), this);
  }

  private boolean isDirect(int k) {
    return k != constant && loops.runStride(k) == 1 && Words.isWord(operands[k].dtype(), ints);
  }

  @Override
  public final void run(int task) {
    Scratch scratch = Scratch.get();
    int count = operands.length;
    MemorySegment[] words = new MemorySegment[count];
    long[] at = new long[count];
    if (constant >= 0) {
      MemorySegment block = scratch.words(constant, BLOCK);
      for (int i = 0; i < Math.min(BLOCK, Math.max(length, operands[0].elements())); i++) {
        block.set(JAVA_INT, 4L * i, constantWord);
      }
    }
    if (blocksPerRun == 0) {
      runShared(task, scratch, words, at);
    } else {
      runApart(task, scratch, words, at);
    }
  }

  // Each block is part of one run.
  private void runApart(int task, Scratch scratch, MemorySegment[] words, long[] at) {
    int last = operands.length - 1;
    long first = (long) task * blocksPerTask;
    long end = Math.min(first + blocksPerTask, loops.runs() * blocksPerRun);
    for (long block = first; block < end; block++) {
      long run = block / blocksPerRun;
      long from = block % blocksPerRun * blockLength;
      int n = (int) Math.min(blockLength, length - from);
      for (int k = 0; k <= last; k++) {
        long stride = loops.runStride(k);
        long place = loops.start(k, run) + from * stride;
        if (isDirect(k)) {
          words[k] = data[k];
          at[k] = 4 * place;
        } else {
          words[k] = scratch.words(Scratch.OPERANDS + k, BLOCK);
          at[k] = 0;
          if (k < last && k != constant) {
            Words.read(operands[k].dtype(), ints, data[k], place, stride, n, words[k], 0);
          }
        }
      }
      if (isDirect(last)) {
        computeDirect(scratch, words, at, n);
      } else {
        computePadded(words, at, n);
        long stride = loops.runStride(last);
        long place = loops.start(last, run) + from * stride;
        Words.write(operands[last].dtype(), ints, words[last], 0, n, data[last], place, stride);
      }
    }
  }

  // Blocks are stretches of the loop's order, over several runs.
  private void runShared(int task, Scratch scratch, MemorySegment[] words, long[] at) {
    int last = operands.length - 1;
    long elements = operands[0].elements();
    long first = (long) task * blocksPerTask * BLOCK;
    long end = Math.min(first + (long) blocksPerTask * BLOCK, elements);
    for (int k = 0; k <= last; k++) {
      words[k] = scratch.words(Scratch.OPERANDS + k, BLOCK);
    }
    for (long from = first; from < end; from += BLOCK) {
      int n = (int) Math.min(BLOCK, end - from);
      for (int k = 0; k < last; k++) {
        if (k != constant) {
          transfer(k, from, n, words[k]);
        }
      }
      block(words, at, roundUp(n));
      transfer(last, from, n, words[last]);
    }
  }

  private void transfer(int k, long from, int n, MemorySegment words) {
    boolean output = k == operands.length - 1;
    DType type = operands[k].dtype();
    long stride = loops.runStride(k);
    long run = from / length;
    long inside = from % length;
    for (int done = 0; done < n; ) {
      int part = (int) Math.min(length - inside, n - done);
      long place = loops.start(k, run) + inside * stride;
      if (output) {
        Words.write(type, ints, words, 4L * done, part, data[k], place, stride);
      } else {
        Words.read(type, ints, data[k], place, stride, part, words, 4L * done);
      }
      done += part;
      inside = 0;
      run++;
    }
  }

  // The result goes to its place; what is left of a vector goes through scratch.
  private void computeDirect(Scratch scratch, MemorySegment[] words, long[] at, int n) {
    int body = n & -Simd.LANES;
    if (body > 0) {
      block(words, at, body);
    }
    int tail = n - body;
    if (tail == 0) {
      return;
    }
    int last = operands.length - 1;
    MemorySegment result = words[last];
    long place = at[last] + 4L * body;
    for (int k = 0; k <= last; k++) {
      MemorySegment padded = scratch.words(Scratch.TAILS + k, Simd.LANES);
      if (k < last) {
        MemorySegment.copy(words[k], at[k] + 4L * body, padded, 0, 4L * tail);
      }
      words[k] = padded;
      at[k] = 0;
    }
    block(words, at, Simd.LANES);
    MemorySegment.copy(words[last], 0, result, place, 4L * tail);
  }

  // The result goes to scratch, with room for a vector more than asked for.
  private void computePadded(MemorySegment[] words, long[] at, int n) {
    int last = operands.length - 1;
    int rounded = roundUp(n);
    boolean fits = true;
    for (int k = 0; k < last; k++) {
      fits &= !isDirect(k);
    }
    if (n == rounded || fits) {
      block(words, at, rounded);
      return;
    }
    MemorySegment result = words[last];
    computeDirect(Scratch.get(), words, at, n);
    words[last] = result;
    at[last] = 0;
  }

  private static int roundUp(int n) {
    return n + Simd.LANES - 1 & -Simd.LANES;
  }
}
