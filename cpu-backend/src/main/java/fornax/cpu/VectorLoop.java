package fornax.cpu;

import com.google.errorprone.annotations.Immutable;
import java.lang.foreign.MemorySegment;

/// The loops of the vector kernels as objects. Their callers find them in arrays and run them by
/// [#call], and so the compiler compiles each by itself: it cannot know which loop an array holds,
/// and sees too many at the one place of the call to inline any. A method into which several vector
/// loops were inlined would exhaust its budget (`NodeCountInliningCutoff`), and every vector in it
/// would become an object on the heap, ten times slower.
final class VectorLoop {
  private VectorLoop() {}

  /// `y = f(x)` over whole vectors.
  @FunctionalInterface
  @Immutable
  interface OfOne {
    void run(MemorySegment x, long xo, MemorySegment y, long yo, int n);
  }

  /// `y = f(a, b)` over whole vectors.
  @FunctionalInterface
  @Immutable
  interface OfTwo {
    void run(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n);
  }

  /// `y = f(a, b)` over a row of any length with numbers p, q and r, or a value of the row.
  @FunctionalInterface
  @Immutable
  interface OfRow {
    float run(
        MemorySegment a,
        long ao,
        MemorySegment b,
        long bo,
        MemorySegment y,
        long yo,
        float p,
        float q,
        float r,
        int n);
  }

  static void call(
      OfOne[] loops, Enum<?> which, MemorySegment x, long xo, MemorySegment y, long yo, int n) {
    loops[which.ordinal()].run(x, xo, y, yo, n);
  }

  static void call(
      OfTwo[] loops,
      Enum<?> which,
      MemorySegment a,
      long ao,
      MemorySegment b,
      long bo,
      MemorySegment y,
      long yo,
      int n) {
    loops[which.ordinal()].run(a, ao, b, bo, y, yo, n);
  }

  static float call(
      OfRow[] loops,
      Enum<?> which,
      MemorySegment a,
      long ao,
      MemorySegment b,
      long bo,
      MemorySegment y,
      long yo,
      float p,
      float q,
      float r,
      int n) {
    return loops[which.ordinal()].run(a, ao, b, bo, y, yo, p, q, r, n);
  }
}
