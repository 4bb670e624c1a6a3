package fornax.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import fornax.array.ShapeException;
import org.junit.jupiter.api.Test;

class CustomOpTest extends Fixture {
  private static final class Cube extends CustomOp {
    @Override
    protected Tensor forward(Context context, Tensor... x) {
      context.save(x[0]);
      return x[0].mul(x[0]).mul(x[0]);
    }

    @Override
    protected Tensor[] gradient(Context context, Tensor dy) {
      return new Tensor[] {dy.mul(context.saved(0).square().mul(3))};
    }
  }

  private static final class Wrong extends CustomOp {
    @Override
    protected Tensor forward(Context context, Tensor... x) {
      return x[0].add(x[1]);
    }

    @Override
    protected Tensor[] gradient(Context context, Tensor dy) {
      return new Tensor[] {dy, dy.sum()};
    }
  }

  @Test
  void gradient_isTheUsers() {
    Tensor x = leaf(1, 2, -3);
    Tensor y = new Cube().apply(x);
    assertArrayEquals(new double[] {1, 8, -27}, y.toDoubleArray());
    y.mul(2).sum().backward();
    assertArrayEquals(new double[] {6, 24, 54}, grad(x));
  }

  @Test
  void sameOp_canBeAppliedTwiceInAGraph() {
    Cube cube = new Cube();
    Tensor x = leaf(2);
    cube.apply(cube.apply(x)).backward(); // x⁹
    assertArrayEquals(new double[] {9 * 256}, grad(x));
  }

  @Test
  void withoutGradient_nothingIsKept() {
    Tensor x = vector(1, 2);
    try (var _ = Scope.open()) {
      assertEquals(8, new Cube().apply(x).select(0, 1).item());
    }
    assertEquals(8, backend.memory().stats().live());
  }

  @Test
  void gradientOfAnotherShape_isAnError() {
    Tensor a = leaf(1, 2);
    Tensor b = leaf(3, 4);
    Tensor y = new Wrong().apply(a, b).sum();
    ShapeException e = assertThrows(ShapeException.class, y::backward);
    assertEquals("Wrong: gradient of another shape; got [] for input 1; need [2]", e.getMessage());
  }
}
