package fornax.backend;

import java.lang.foreign.MemorySegment;

/// What a backend must implement; everything else has a default body made of these.
///
/// Rules for all methods, here and in [Backend]:
/// - **Arguments are right.** Shapes, types and devices were checked by the caller; a backend
///   checks only what it alone can see, which is the values of indices.
/// - **Results are given.** A backend never allocates a result; it writes into the array passed
///   last (`y`, `dx`). Its own temporaries come from a [Workspace].
/// - **Layouts.** An array may have any layout (transposed, sliced, broadcast with stride 0) unless
///   the method says *contiguous*, which means row-major without gaps at any offset. Outputs never
///   have stride 0 and never overlap an input, but that an elementwise method may write over an
///   input of the same layout.
/// - **Types.** F32 unless said otherwise; where a method takes floating arrays, they may be F32 or
///   BF16 (mixed), with arithmetic in F32 and one rounding to nearest even at the end. The
///   reference backend also takes F64.
/// - **Calls enqueue.** They may return before the work is done; work is done in the order of the
///   calls. Only [Readback#await()] and [#synchronize()] wait. An error of the device may come as
///   late as that.
/// - **Same bits every time**, whatever the number of threads.
/// - Sizes of 0 are allowed everywhere.
public interface Primitives extends AutoCloseable {
  /// The device's id, such as `cpu` or `cuda:0`.
  String id();

  /// The pool that arrays of this device come from.
  Memory memory();

  // ---- moving data

  /// Copies `source` (elements of y's type, row-major, native byte order) to `y`, contiguous.
  /// Returns when `source` may be reused.
  void upload(MemorySegment source, NdArray y);

  /// Starts copying `x`, contiguous, to the host.
  Readback readback(NdArray x);

  /// `y = x` with conversion: floating to floating rounds to nearest even; floating to I32
  /// truncates (NaN gives 0); to BOOL is `x ≠ 0`; from BOOL gives 0 or 1. Shapes are equal.
  void copy(NdArray x, NdArray y);

  /// Every element of `y` becomes `value`, converted as by [#copy(NdArray, NdArray)].
  void fill(NdArray y, double value);

  /// `y[i] = start + i·step` over the row-major index `i`; `y` is contiguous, floating or I32.
  void range(NdArray y, double start, double step);

  // ---- elementwise; shapes are equal (broadcast operands come expanded)

  /// `y = op(x)`; x and y of one type, or both floating.
  void unary(Unary op, NdArray x, NdArray y);

  /// `y = op(a, b)`.
  void binary(Binary op, NdArray a, NdArray b, NdArray y);

  /// `y = op(a, b)` with the number `b`, rounded to F32 for F32 and half arrays.
  void binary(Binary op, NdArray a, double b, NdArray y);

  /// `y = op(a, b)`, BOOL; a and b floating, I32 or BOOL.
  void compare(Compare op, NdArray a, NdArray b, NdArray y);

  /// `y = op(a, b)` with the number `b`, rounded likewise; BOOL.
  void compare(Compare op, NdArray a, double b, NdArray y);

  /// `y = condition ? a : b`; condition is BOOL; a, b and y have one type, any.
  void where(NdArray condition, NdArray a, NdArray b, NdArray y);

  // ---- reductions and scans

  /// `y = op of x` over the axes where y has size 1; x and y have the same rank, and y has x's size
  /// or 1 at each axis. Floating, or I32. Sums of F32 and halves have the error of pairwise
  /// summation or better.
  void reduce(Reduce op, NdArray x, NdArray y);

  /// `y` (I32, x's shape with size 1 at `axis`) = the index of the first largest element along
  /// `axis`; NaN counts as largest.
  void argmax(NdArray x, int axis, NdArray y);

  /// `y = cumulative sum of x` along `axis`. Floating or I32.
  void cumulativeSum(NdArray x, int axis, NdArray y);

  /// Sorts each row of the last axis, stably; NaN counts as largest. x, values and indices (I32)
  /// are contiguous, of one shape.
  void sort(NdArray x, boolean descending, NdArray values, NdArray indices);

  // ---- linear algebra

  /// `y = a·b`, or `y += a·b` if `accumulate`. Shapes `a [.., M, K], b [.., K, N] → y [.., M, N]`
  /// with equal leading axes (broadcast ones come expanded, with stride 0). Floating.
  void matmul(NdArray a, NdArray b, NdArray y, boolean accumulate);

  // ---- by index

  /// `y[.., i, ..] = x[.., indices[.., i, ..], ..]` at `axis`. indices (I32) and y have one shape,
  /// which is x's but for `axis`. x, y of one type, any.
  ///
  /// @throws IndexOutOfBoundsException (maybe late) naming the index, its place and the axis's size
  void gather(NdArray x, int axis, NdArray indices, NdArray y);

  /// `y[.., indices[.., i, ..], ..] += x[.., i, ..]` at `axis`, equal indices in rising order of
  /// `i`. x and indices have one shape. Floating.
  ///
  /// @throws IndexOutOfBoundsException (maybe late) naming the index, its place and the axis's size
  void scatterAdd(NdArray x, int axis, NdArray indices, NdArray y);

  // ---- randomness

  /// `y` (contiguous) = the words of [Philox]'s stream `stream` under the random state `state` (I32
  /// [4], read on the device): word `i` for the element with the row-major index `i`, itself where
  /// y is I32, [Philox#uniform(int)] of it where y is floating.
  void random(NdArray state, int stream, NdArray y);

  // ---- control

  /// Waits until all enqueued work is done and reports its errors.
  void synchronize();

  /// Ends the device; memory still leased is given back as it is released.
  @Override
  void close();
}
