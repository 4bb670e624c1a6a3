package fornax.conformance;

import static fornax.conformance.Input.shape;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.tensor.CustomOp;
import fornax.tensor.Tensor;
import org.junit.jupiter.api.Test;

class GradCheckTest {
  /// `x³`, whose gradient is `factor·x²`.
  private static final class Cube extends CustomOp {
    private final double factor;

    Cube(double factor) {
      this.factor = factor;
    }

    @Override
    protected Tensor forward(Context context, Tensor... inputs) {
      context.save(inputs[0]);
      return inputs[0].mul(inputs[0]).mul(inputs[0]);
    }

    @Override
    protected Tensor[] gradient(Context context, Tensor dy) {
      return new Tensor[] {dy.mul(context.saved(0).square().mul(factor))};
    }
  }

  @Test
  void check_passesARightGradient() {
    GradCheck.check("cube", x -> new Cube(3).apply(x.getFirst()), shape(3, 4), shape(7).constant());
    GradCheck.check("cube", x -> new Cube(3).apply(x.getFirst()), shape(5, 31).transposed());
  }

  @Test
  void check_namesOperationInputIndexAndBothNumbers() {
    AssertionError error =
        assertThrows(
            AssertionError.class,
            () ->
                GradCheck.check(
                    "sum of cubes",
                    x -> x.get(1).add(new Cube(2.9).apply(x.get(0))),
                    shape(2, 1),
                    shape(1)));
    String message = String.valueOf(error.getMessage());
    assertTrue(
        message.matches(
            "gradCheck: sum of cubes: gradient and finite difference differ;"
                + " got -?\\d\\S* for input 0 at \\[[01], 0\\]; need -?\\d\\S* ± \\S+"),
        message);
  }

  @Test
  void check_rejectsAResultThatLostItsGradient() {
    AssertionError error =
        assertThrows(
            AssertionError.class,
            () -> GradCheck.check("cut", x -> x.getFirst().detach().square(), shape(3)));
    assertTrue(String.valueOf(error.getMessage()).contains("cut: the result has no gradient"));
  }

  @Test
  void check_noticesAMissingTerm() {
    assertThrows(
        AssertionError.class,
        () -> GradCheck.check("half", x -> x.getFirst().mul(x.getFirst().detach()), shape(3)));
  }
}
