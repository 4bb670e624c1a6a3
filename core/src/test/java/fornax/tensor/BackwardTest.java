package fornax.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.DTypeException;
import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.backend.Unary;
import org.junit.jupiter.api.Test;

class BackwardTest extends Fixture {
  @Test
  void gradients_addUpUntilCleared() {
    Tensor x = leaf(1, 2, 3);
    x.square().sum().backward();
    x.square().sum().backward();
    assertArrayEquals(new double[] {4, 8, 12}, grad(x));
    x.zeroGrad();
    assertNull(x.grad());
    x.square().sum().backward();
    assertArrayEquals(new double[] {2, 4, 6}, grad(x));
  }

  @Test
  void valueUsedTwice_getsBothGradients() {
    Tensor x = leaf(3);
    Tensor y = x.mul(x).add(x); // y = x² + x
    y.backward();
    assertArrayEquals(new double[] {7}, grad(x));
  }

  @Test
  void sharedGradient_isNotWrittenOver() {
    // Both inputs of the sum share dy; what is added to the one may not show in the other.
    Tensor a = leaf(1, 2);
    Tensor b = leaf(3, 4);
    Tensor twice = a.add(b).add(a.mul(10));
    twice.sum().backward();
    assertArrayEquals(new double[] {11, 11}, grad(a));
    assertArrayEquals(new double[] {1, 1}, grad(b));
  }

  @Test
  void gradientSharedWithASkip_isNotWrittenOverByTheActivation() {
    Tensor skip = matrix(1, 2).detach().requiresGrad(true);
    Tensor w = matrix(1, 2).detach().requiresGrad(true);
    Tensor hidden = vector(-1).reshape(1, 1).linear(w, null, Unary.RELU); // relu([-1, -2]) = 0
    hidden.add(skip).mul(matrix(1, 2)).sum().backward();
    assertArrayEquals(new double[] {1, 2}, grad(skip));
    assertArrayEquals(new double[] {0, 0}, grad(w));
  }

  @Test
  void diamond_isVisitedOnce() {
    Tensor x = leaf(0.5);
    Tensor h = x.exp();
    Tensor y = h.mul(2).add(h.mul(3)).mul(h); // 5e²ˣ
    y.backward();
    assertEquals(10 * Math.exp(1), grad(x)[0], 1e-5);
  }

  @Test
  void expandedGradient_isMaterialisedInTheLeaf() {
    Tensor x = matrix(2, 3).detach().requiresGrad(true);
    x.sum().backward();
    assertTrue(java.util.Objects.requireNonNull(x.gradArray()).isContiguous());
    assertArrayEquals(new double[] {1, 1, 1, 1, 1, 1}, grad(x));
  }

  @Test
  void tiedTransposedWeight_collectsBothUses() {
    Tensor w = matrix(3, 2).detach().requiresGrad(true);
    Tensor rows = w.embedding(tensors.of(new int[] {2, 0}, Shape.of(2)));
    rows.matmul(w.transpose()).sum().backward();
    // d/dw of Σ_ij w[i_k]·w[j]: the column sums of w for each row picked, and the sum of the picked
    // rows for every row
    assertArrayEquals(new double[] {9 + 6, 12 + 8, 6, 8, 9 + 6, 12 + 8}, grad(w));
  }

  @Test
  void backwardTwice_isAnError() {
    Tensor x = leaf(1, 2);
    Tensor y = x.square().sum();
    y.backward();
    IllegalStateException e = assertThrows(IllegalStateException.class, y::backward);
    assertSays("backward: the graph has been used; got a second backward", e);
  }

  @Test
  void backwardThroughAUsedPart_isAnError() {
    Tensor x = leaf(1, 2);
    Tensor h = x.square();
    h.sum().backward();
    Tensor other = h.mul(2).sum();
    assertThrows(IllegalStateException.class, other::backward);
  }

  @Test
  void backward_needsAScalarOrASeed() {
    Tensor x = leaf(1, 2);
    Tensor y = x.mul(3);
    ShapeException e = assertThrows(ShapeException.class, y::backward);
    assertEquals(
        "backward: not a scalar; got [2]; need one element, or backward(seed) with the gradient to start from",
        e.getMessage());
    assertThrows(ShapeException.class, () -> y.backward(vector(1, 2, 3)));
    y.backward(vector(1, 10));
    assertArrayEquals(new double[] {3, 30}, grad(x));
  }

  @Test
  void backward_needsHistory() {
    IllegalStateException e = assertThrows(IllegalStateException.class, () -> vector(1).backward());
    assertSays("nothing was recorded", e);
  }

  @Test
  void noGrad_recordsNothing() {
    Tensor x = leaf(1, 2);
    try (var _ = GradMode.noGrad()) {
      assertFalse(x.square().requiresGrad());
      try (var _ = GradMode.withGrad()) {
        assertTrue(x.square().requiresGrad());
      }
      assertFalse(GradMode.isRecording());
    }
    assertTrue(x.square().requiresGrad());
  }

  @Test
  void detach_cutsTheHistory() {
    Tensor x = leaf(2);
    Tensor y = x.square().detach().mul(x); // 4x, with the 4 a constant
    y.backward();
    assertArrayEquals(new double[] {4}, grad(x));
  }

  @Test
  void changedValue_isAnErrorInBackward() {
    Tensor x = leaf(1, 2);
    Tensor factor = vector(3, 4);
    Tensor y = x.mul(factor).sum();
    Tensor _ = factor.fillInPlace(0);
    IllegalStateException e = assertThrows(IllegalStateException.class, y::backward);
    assertSays("backward: a value that multiply needs was changed in place", e);
  }

  @Test
  void changeInPlace_ofARecordedTensorIsAnError() {
    Tensor x = leaf(1, 2);
    assertThrows(IllegalStateException.class, () -> x.fillInPlace(0));
    try (var _ = GradMode.noGrad()) {
      Tensor _ = x.addInPlace(vector(1, 1));
    }
    assertArrayEquals(new double[] {2, 3}, x.toDoubleArray());
  }

  @Test
  void requiresGrad_needsALeafOfFloats() {
    assertThrows(
        DTypeException.class, () -> tensors.of(new int[] {1}, Shape.of(1)).requiresGrad(true));
    Tensor y = leaf(1).square();
    assertThrows(IllegalStateException.class, () -> y.requiresGrad(false));
  }

  @Test
  void longChain_doesNotOverflowTheStack() {
    Tensor x = leaf(1);
    Tensor y = x;
    for (int i = 0; i < 20_000; i++) {
      y = y.add(1);
    }
    y.backward();
    assertArrayEquals(new double[] {1}, grad(x));
  }

  @Test
  void abandonedLongChain_isReleasedWithoutRecursion() {
    Tensor x = leaf(1);
    try (var _ = Scope.open()) {
      Tensor y = x;
      for (int i = 0; i < 20_000; i++) {
        y = y.mul(1.0001);
      }
      assertTrue(y.requiresGrad());
    }
    assertEquals(4, backend.memory().stats().live());
  }

  @Test
  void bf16AndF32_giveF32AndEachItsOwnGradientType() {
    Tensor a = tensors.of(new double[] {1, 2}, DType.BF16, Shape.of(2)).requiresGrad(true);
    Tensor b = leaf(3, 4);
    Tensor y = a.mul(b);
    assertEquals(DType.F32, y.dtype());
    y.sum().backward();
    assertEquals(DType.BF16, java.util.Objects.requireNonNull(a.gradArray()).dtype());
    assertArrayEquals(new double[] {3, 4}, grad(a));
    assertArrayEquals(new double[] {1, 2}, grad(b));
  }
}
