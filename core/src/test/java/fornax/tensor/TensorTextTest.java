package fornax.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import fornax.array.DType;
import fornax.array.Shape;
import org.junit.jupiter.api.Test;

class TensorTextTest extends Fixture {
  @Test
  void matrix_isAligned() {
    assertEquals(
        """
        Tensor([[ 1.0000, -2.5000],
                [10.0000,       ∞]], F32 [2, 2], reference)""",
        vector(1, -2.5, 10, Double.POSITIVE_INFINITY).reshape(2, 2).toString());
  }

  @Test
  void large_isAbbreviated() {
    assertEquals(
        "Tensor([   0,    1,    2, …, 1998, 1999, 2000], I32 [2001], reference)",
        tensors.range(DType.I32, 0, 1, 2001).toString());
  }

  @Test
  void scalarsEmptyAndBool() {
    assertEquals(
        "Tensor(3.0000, F32 [], reference, requiresGrad)",
        tensors.full(3, DType.F32, Shape.scalar()).requiresGrad(true).toString());
    assertEquals("Tensor([], F32 [0], reference)", vector().toString());
    assertEquals(
        "Tensor([true, false], BOOL [2], reference)",
        vector(1, 0).gt(0.5).toString().replace(" true", "true"));
  }
}
