package fornax.array;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

class ShapeTest {
  private static final Shape SHAPE = Shape.of(2, 3, 5);

  @Test
  void elements_areTheProductOfTheSizes() {
    assertEquals(30, SHAPE.elements());
    assertEquals(1, Shape.scalar().elements());
    assertEquals(0, Shape.of(Long.MAX_VALUE, 0, Long.MAX_VALUE).elements());
  }

  @Test
  void axes_countFromTheEndWhereNegative() {
    assertEquals(5, SHAPE.dim(-1));
    assertEquals(Shape.of(2, 3, 7), SHAPE.with(-1, 7));
    assertEquals(Shape.of(3, 5), SHAPE.without(-3));
    assertEquals(Shape.of(2, 3, 5, 1), SHAPE.insert(-1, 1));
    assertEquals(Shape.of(1, 2, 3, 5), SHAPE.insert(0, 1));
    assertEquals(Shape.of(2), SHAPE.leading(-2));
    assertEquals(Shape.of(2, 3), SHAPE.leading(2));
    assertEquals(Shape.of(3, 5), SHAPE.trailing(2));
    assertEquals(Shape.of(2, 3, 5, 7), SHAPE.concat(Shape.of(7)));
  }

  @Test
  void toString_listsTheSizes() {
    assertEquals("[2, 3, 5]", SHAPE.toString());
    assertEquals("[]", Shape.scalar().toString());
  }

  @Test
  void wrongSizesAndAxes_areNamed() {
    assertEquals(
        "shape: negative size; got [2, -1]; need sizes >= 0",
        assertThrows(ShapeException.class, () -> Shape.of(2, -1)).getMessage());
    assertEquals(
        "sum: axis outside the array; got axis 3 of [2, 3, 5]; need -3 <= axis < 3",
        assertThrows(ShapeException.class, () -> SHAPE.axis("sum", 3)).getMessage());
    assertThrows(ShapeException.class, () -> Shape.of(1L << 40, 1L << 40));
    assertThrows(ShapeException.class, () -> Shape.scalar().dim(0));
    assertThrows(ShapeException.class, () -> SHAPE.insert(4, 1));
  }
}
