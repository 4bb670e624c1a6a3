package fornax.benchmarks;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.HostBlock;
import fornax.backend.HostBlocks;
import fornax.backend.Memory;
import fornax.backend.NdArray;
import fornax.backend.Owner;
import fornax.cpu.LimitProbe;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/// The limits of this machine, measured: multiply-adds on registers, and bytes read and written in
/// arrays as large as the work's own, so that work in a cache is held to that cache's speed: copied
/// from one array to another or changed in place, whichever is faster. Arrays come from the same
/// pool as the kernels' (huge pages).
final class Roofline implements AutoCloseable {
  private static final long LEAST_PROBE_NANOS = 2_000_000;
  private static final long SHORT_NANOS = 100_000;
  private static final int FMA_TURNS = 20_000; // about 60 microseconds
  private static final long LEAST_MOVED = 32 << 10; // below, the calls count, not the bytes
  private static final long MOST_MOVED = 256 << 20; // far beyond the caches
  private static final long LINES = 128; // two cache lines, and of any vector a multiple

  private final int threads;
  private final Clock clock;
  private final Memory memory;
  private final ExecutorService team;
  private final List<Arrays> arrays = new ArrayList<>();

  @SuppressWarnings("UnusedVariable") // a compiler must not leave the arithmetic out
  private volatile float sink;

  /// One thread's arrays.
  private record Arrays(MemorySegment both, MemorySegment left, MemorySegment right) {
    static Arrays of(MemorySegment both) {
      long half = both.byteSize() / 2;
      return new Arrays(both, both.asSlice(0, half), both.asSlice(half, half));
    }

    void copy() {
      MemorySegment.copy(left, 0, right, 0, left.byteSize());
    }

    void change() {
      LimitProbe.pass(both);
    }
  }

  /// @param threads that compute at once; 1: only the calling one
  /// @param clock of each thread
  /// @param workingSet of the work that is measured beside, in bytes
  Roofline(int threads, Clock clock, long workingSet) {
    this.threads = threads;
    this.clock = clock;
    memory = new Memory("roofline", new HostBlocks(), Long.MAX_VALUE);
    long each = Math.clamp(workingSet, LEAST_MOVED, MOST_MOVED) / threads;
    for (int i = 0; i < threads; i++) {
      arrays.add(Arrays.of(allocate(Math.max(1, each / LINES) * LINES)));
    }
    team = Executors.newFixedThreadPool(threads, Thread.ofPlatform().daemon().factory());
  }

  private MemorySegment allocate(long bytes) {
    NdArray array = memory.allocate(DType.BOOL, Shape.of(bytes), Owner.WORKSPACE);
    return HostBlock.segment(array).fill((byte) 1);
  }

  /// What was measured at one time.
  ///
  /// @param gigaflops multiply-adds, in GFLOP/s
  /// @param gigabytes bytes read and written, in GB/s
  record Limits(double gigaflops, double gigabytes) {
    /// The least time that `work` could take within these.
    double idealNanos(Work work) {
      return Math.max(work.flops() / gigaflops, work.bytes() / gigabytes);
    }

    /// The better of each.
    Limits orBetter(Limits other) {
      return new Limits(Math.max(gigaflops, other.gigaflops), Math.max(gigabytes, other.gigabytes));
    }
  }

  /// Measures for a few milliseconds.
  Limits probe() {
    return probe(SHORT_NANOS);
  }

  /// Measures in pieces of `pieceNanos`, of which the fastest counts. As long as those of the work
  /// that is measured beside, they meet the same disturbances.
  Limits probe(long pieceNanos) {
    double copied = arrays.getFirst().both().byteSize();
    double flops = rate(LimitProbe.flops(FMA_TURNS), pieceNanos, this::multiplyAdd);
    double copy = rate(copied, pieceNanos, thread -> arrays.get(thread).copy());
    double change = rate(2 * copied, pieceNanos, thread -> arrays.get(thread).change());
    return new Limits(flops, Math.max(copy, change));
  }

  private void multiplyAdd(int thread) {
    sink = LimitProbe.multiplyAdd(FMA_TURNS) + thread;
  }

  /// What a thread does again and again.
  @FunctionalInterface
  private interface Unit {
    void run(int thread);
  }

  // The rate in units of `amount` per nanosecond: of the best piece where one thread works; of all
  // the time where several do, since one alone would have the memory to itself.
  private double rate(double amount, long pieceNanos, Unit unit) {
    if (threads == 1) {
      return amount / repeat(unit, pieceNanos, 0).bestNanos();
    }
    var start = new CyclicBarrier(threads);
    List<Future<Repeats>> results = new ArrayList<>();
    for (int i = 0; i < threads; i++) {
      int thread = i;
      results.add(
          team.submit(
              () -> {
                await(start);
                return repeat(unit, pieceNanos, thread);
              }));
    }
    long units = 0;
    long nanos = 1;
    for (Future<Repeats> result : results) {
      Repeats repeats = join(result);
      units += repeats.units();
      nanos = Math.max(nanos, repeats.nanos());
    }
    return units * amount / nanos;
  }

  /// What one thread got done.
  private record Repeats(long units, long nanos, double bestNanos) {}

  private Repeats repeat(Unit unit, long pieceNanos, int thread) {
    long start = clock.nanos();
    unit.run(thread);
    long now = clock.nanos();
    double best = Math.max(1, now - start);
    long units = 1;
    long piece = (long) Math.max(1, Math.ceil(pieceNanos / best));
    long duration = Math.max(LEAST_PROBE_NANOS, 2 * pieceNanos);
    while (now - start < duration) {
      long before = now;
      for (long i = 0; i < piece; i++) {
        unit.run(thread);
      }
      now = clock.nanos();
      best = Math.min(best, Math.max(1, (double) (now - before) / piece));
      units += piece;
    }
    return new Repeats(units, now - start, best);
  }

  private static void await(CyclicBarrier barrier) throws InterruptedException {
    try {
      int _ = barrier.await();
    } catch (BrokenBarrierException e) {
      throw new IllegalStateException("roofline: a thread was interrupted", e);
    }
  }

  private static Repeats join(Future<Repeats> result) {
    try {
      return result.get();
    } catch (InterruptedException | ExecutionException e) {
      throw new IllegalStateException("roofline: a thread failed", e);
    }
  }

  @Override
  public void close() {
    team.shutdownNow();
    memory.close();
  }
}
