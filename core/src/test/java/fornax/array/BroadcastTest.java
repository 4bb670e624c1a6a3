package fornax.array;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

class BroadcastTest {
  private static Shape shapes(Shape a, Shape b) {
    return Broadcast.shapes("add", a, b);
  }

  @Test
  void shapes_followNumPy() {
    assertEquals(Shape.of(2, 3), shapes(Shape.of(2, 3), Shape.of(2, 3)));
    assertEquals(Shape.of(2, 3), shapes(Shape.of(3), Shape.of(2, 1)));
    assertEquals(Shape.of(2, 3), shapes(Shape.scalar(), Shape.of(2, 3)));
    assertEquals(Shape.of(8, 7, 6, 5), shapes(Shape.of(8, 1, 6, 1), Shape.of(7, 1, 5)));
    assertEquals(Shape.of(2, 0), shapes(Shape.of(2, 1), Shape.of(0)));
  }

  @Test
  void shapes_rejectsDifferentSizes() {
    assertEquals(
        "add: shapes do not broadcast; got a [2, 3] and b [2, 4]; need equal sizes or 1 at axis -1"
            + " (3 ≠ 4)",
        assertThrows(ShapeException.class, () -> shapes(Shape.of(2, 3), Shape.of(2, 4)))
            .getMessage());
    assertThrows(ShapeException.class, () -> shapes(Shape.of(2), Shape.of(0)));
  }

  @Test
  void shapes_hintsAtTheCure() {
    assertEquals("did you mean b.transpose()?", hint(Shape.of(2, 3), Shape.of(3, 2)));
    assertEquals("did you mean b.reshape(2, 1)?", hint(Shape.of(2, 3), Shape.of(2)));
  }

  private static String hint(Shape a, Shape b) {
    String message =
        String.valueOf(assertThrows(ShapeException.class, () -> shapes(a, b)).getMessage());
    return message.substring(message.lastIndexOf("; ") + 2);
  }
}
