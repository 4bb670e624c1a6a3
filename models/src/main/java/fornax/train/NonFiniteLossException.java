package fornax.train;

/// A training was stopped because a step's loss or its gradients were not finite. The parameters
/// and checkpoints are those of good steps.
public final class NonFiniteLossException extends ArithmeticException {
  private static final long serialVersionUID = 1L;

  private final int step;

  NonFiniteLossException(int step, double loss, double norm, int inARow) {
    super(
        "train: numbers that are not finite; got loss "
            + loss
            + " and gradient norm "
            + norm
            + " in step "
            + step
            + (inARow == 1 ? "" : ", the " + inARow + "th such step in a row")
            + "; need finite ones; a lower --lr may help, --check-numerics names the operation,"
            + " --skip-nonfinite lets such steps pass");
    this.step = step;
  }

  /// The step that was one too many, counted from 1.
  public int step() {
    return step;
  }
}
