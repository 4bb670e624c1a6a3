package fornax.array;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class LoopsTest {
  @Test
  void of_visitsEveryElementInOrder() {
    RandomLayouts layouts = new RandomLayouts(2);
    for (int n = 0; n < 5_000; n++) {
      Layout a = layouts.next();
      Layout b = layouts.of(a.shape());
      Loops loops = Loops.of(a, b);
      List<List<Long>> visited = new ArrayList<>();
      for (long run = 0; run < loops.runs(); run++) {
        for (long i = 0; i < loops.runLength(); i++) {
          visited.add(
              List.of(
                  loops.start(0, run) + i * loops.runStride(0),
                  loops.start(1, run) + i * loops.runStride(1)));
        }
      }
      List<List<Long>> wanted = new ArrayList<>();
      for (long i = 0; i < a.shape().elements(); i++) {
        wanted.add(List.of(a.at(i), b.at(i)));
      }
      assertEquals(wanted, visited, () -> a + " and " + b);
    }
  }

  @Test
  void of_joinsContiguousOperandsToOneRun() {
    Layout layout = Layout.of(Shape.of(3, 4, 5));
    assertEquals(60, Loops.of(layout, layout).runLength());
    Layout rows = Layout.of(Shape.of(3, 6, 5)).slice(1, 1, 5);
    assertEquals(20, Loops.of(layout, rows).runLength());
    Layout scalar = Layout.of(Shape.scalar()).expand(layout.shape());
    Loops broadcast = Loops.of(layout, scalar);
    assertEquals(60, broadcast.runLength());
    assertEquals(0, broadcast.runStride(1));
  }

  @Test
  void of_rejectsDifferentShapes() {
    assertThrows(
        ShapeException.class, () -> Loops.of(Layout.of(Shape.of(2)), Layout.of(Shape.of(3))));
  }
}
