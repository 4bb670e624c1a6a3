package fornax.conformance;

import java.util.Locale;

/// How one test case went.
///
/// @param op the operation, or the name of the golden case
/// @param dtype the type of its floating tensors
/// @param maxError the largest error, as [Tolerance] measures it; NaN if it was skipped
/// @param tolerance the largest error allowed
/// @param status how it went
/// @param note why it failed or was skipped, or what else was measured; may be empty
public record CaseResult(
    String op, String dtype, double maxError, double tolerance, Status status, String note) {
  /// How a case went.
  public enum Status {
    PASSED,
    FAILED,
    /// not run, for the reason in the note
    SKIPPED
  }

  static CaseResult of(String op, String dtype, double maxError, double tolerance, String note) {
    Status status = maxError <= tolerance ? Status.PASSED : Status.FAILED;
    return new CaseResult(op, dtype, maxError, tolerance, status, note);
  }

  static CaseResult skipped(String op, String dtype, String reason) {
    return new CaseResult(op, dtype, Double.NaN, Double.NaN, Status.SKIPPED, reason);
  }

  static CaseResult failed(String op, String dtype, double tolerance, String why) {
    return new CaseResult(op, dtype, Double.POSITIVE_INFINITY, tolerance, Status.FAILED, why);
  }

  /// Whether it was run and its error is allowed.
  public boolean passed() {
    return status == Status.PASSED;
  }

  /// One line.
  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "%-7s %s %s: error %.1e of %.1e%s",
        status.name().toLowerCase(Locale.ROOT),
        op,
        dtype,
        maxError,
        tolerance,
        note.isEmpty() ? "" : "; " + note);
  }
}
