package fornax.cpu;

import org.jspecify.annotations.Nullable;

/// What one [Matmul] computes: `y = f(y₀ + a·b + bias)` for each matrix of a batch, where `y₀` is
/// the old `y` if accumulating and 0 otherwise, and `f` the activation.
///
/// Shapes: `a [batch, rows, inner] · b [batch, inner, columns] → y [batch, rows, columns]`, `bias
/// [columns]` (one row, the same for every matrix), `preActivation` as `y`: it gets what `f` is
/// applied to. `y` and `preActivation` must have column stride 1 and overlap no operand.
final class MatmulArgs {
  final int batch;
  final int rows;
  final int inner;
  final int columns;
  final MatrixView a;
  final MatrixView b;
  final MatrixView y;
  boolean accumulate;
  Activation activation = Activation.NONE;
  @Nullable MatrixView bias;
  @Nullable MatrixView preActivation;

  /// A plain product; set the other fields to change it.
  ///
  /// @param shape `batch, rows, inner, columns`
  MatmulArgs(int[] shape, MatrixView a, MatrixView b, MatrixView y) {
    this.batch = shape[0];
    this.rows = shape[1];
    this.inner = shape[2];
    this.columns = shape[3];
    this.a = a;
    this.b = b;
    this.y = y;
  }

  boolean hasEpilogue() {
    return bias != null || hasActivation() || y.bfloat16;
  }

  /// Whether there is more to do with a sum than to store it.
  boolean hasActivation() {
    return activation != Activation.NONE || preActivation != null;
  }
}
