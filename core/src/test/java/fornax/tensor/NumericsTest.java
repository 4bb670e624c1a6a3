package fornax.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.Shape;
import java.util.Map;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;

class NumericsTest extends Fixture {
  private static NonFiniteException found(Supplier<Tensor> computation) {
    try (var _ = Numerics.check()) {
      return assertThrows(NonFiniteException.class, computation::get);
    }
  }

  private static String line(NonFiniteException e) {
    StackTraceElement line = e.recordedAt();
    assertNotNull(line);
    return line.getClassName() + "." + line.getMethodName();
  }

  @Test
  void aRowWithoutVariance_isNamed() {
    Tensor x = tensors.of(new double[] {1, 2, 3, 3}, DType.F32, Shape.of(2, 2));
    NonFiniteException e = found(() -> x.layerNorm(1, 0));
    assertEquals("layerNorm", e.op());
    assertFalse(e.isBackward());
    assertEquals(Shape.of(2, 2), e.shape());
    assertEquals(2, e.notANumbers());
    assertEquals(0, e.infinities());
    assertTrue(line(e).startsWith("fornax.tensor.NumericsTest."), line(e));
    assertSays(
        "layerNorm: NaN in the result; got 2 NaN and 0 infinities among the 4 values of F32 [2,"
            + " 2], the first at [1, 0], of input 0 F32 [2, 2] up to ±3.00; need finite values; in"
            + " no known layer on reference, called\n    at fornax.tensor.NumericsTest.",
        e);
  }

  @Test
  void theLogarithmOfZero_isNamed() {
    NonFiniteException e = found(() -> vector(1, 0, 2).log());
    assertEquals("log", e.op());
    assertEquals(1, e.infinities());
    assertSays("the first at [1], of input 0 F32 [3] up to ±2.00", e);
  }

  @Test
  void aValueBeyondBFloat16_isNamed() {
    Tensor x = vector(1, Float.MAX_VALUE);
    assertTrue(Float.isFinite(x.toFloatArray()[1]));
    NonFiniteException e = found(() -> x.to(DType.BF16));
    assertEquals("to", e.op());
    assertSays("infinity in the result; got 0 NaN and 1 infinities among the 2 values of BF16", e);
  }

  @Test
  void aGradient_isNamedWithTheLineThatRecordedIt() {
    Tensor x = leaf(4, 0);
    try (var _ = Numerics.check()) {
      Tensor y = rooted(x).sum();
      NonFiniteException e = assertThrows(NonFiniteException.class, y::backward);
      assertEquals("sqrt", e.op());
      assertTrue(e.isBackward());
      assertEquals("fornax.tensor.NumericsTest.rooted", line(e));
      assertSays("sqrt: infinity in the gradient of input 0; got 0 NaN and 1 infinities", e);
      assertSays(", of the result's gradient, up to ±1.00 [2]; need", e);
    }
    x.zeroGrad();
  }

  private static Tensor rooted(Tensor x) {
    return x.sqrt();
  }

  @Test
  void aGradientRecordedBefore_isNamedWithoutALine() {
    Tensor x = leaf(0);
    Tensor y = x.sqrt();
    try (var _ = Numerics.check()) {
      NonFiniteException e = assertThrows(NonFiniteException.class, y::backward);
      assertSays("recorded before checking began", e);
    }
    x.zeroGrad();
  }

  @Test
  void aParameter_isNamedWhereItIsRead() {
    Tensor w = leaf(1, Double.NaN);
    try (var _ = Numerics.check(Map.of("up.weight", w), (_, _) -> "elsewhere")) {
      NonFiniteException e = assertThrows(NonFiniteException.class, () -> w.reshape(2, 1).relu());
      assertEquals("up", e.layer());
      assertSays("reshape: NaN in the parameter up.weight; got 1 NaN", e);
    }
    Tensor large = leaf(1, -1e30);
    try (var _ = Numerics.check(Map.of("down", large), (_, _) -> "elsewhere")) {
      NonFiniteException e = assertThrows(NonFiniteException.class, () -> large.mul(2));
      assertSays("a number too large in the parameter down, whose largest magnitude is", e);
      assertEquals("", e.layer());
    }
  }

  @Test
  void aChangeInPlace_isWatched() {
    Tensor x = vector(1, Float.MAX_VALUE);
    NonFiniteException e = found(() -> x.mulInPlace(2));
    assertEquals("mulInPlace", e.op());
  }

  @Test
  void masksOfInfinity_areNoFault() {
    try (var _ = Numerics.check()) {
      Tensor mask = tensors.of(new boolean[] {true, false}, Shape.of(2));
      Tensor x = leaf(1, 2);
      Tensor masked = x.maskedFill(mask, Double.NEGATIVE_INFINITY);
      Tensor y = masked.add(1).softmax(0).mul(vector(3, 5)).sum();
      y.backward();
      assertEquals(5, y.item());
    }
  }

  @Test
  @SuppressWarnings("try") // closed by hand
  void scopes_watchTheirThreadWhileTheyAreOpen() throws InterruptedException {
    assertFalse(Numerics.isChecking());
    try (var outer = Numerics.check()) {
      assertTrue(Numerics.isChecking());
      try (var _ = Numerics.check()) {
        assertThrows(IllegalStateException.class, outer::close);
      }
      boolean[] elsewhere = new boolean[1];
      Thread thread = Thread.ofPlatform().start(() -> elsewhere[0] = Numerics.isChecking());
      thread.join();
      assertFalse(elsewhere[0]);
      outer.close();
    }
    assertFalse(Numerics.isChecking());
    assertEquals(Double.NEGATIVE_INFINITY, vector(0).log().item());
  }
}
