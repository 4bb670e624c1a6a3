package fornax.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class StopStringsTest {
  private final List<String> pieces = new ArrayList<>();

  private StopStrings stopAt(String... stops) {
    return new StopStrings(List.of(stops), pieces::add);
  }

  @Test
  void stopOverSeveralPieces_isNotLetThrough() {
    StopStrings stop = stopAt("\n\nEND", "###");
    assertTrue(stop.next("abc\n"));
    assertTrue(stop.next("\nEx"));
    assertTrue(stop.next("y\n\nE"));
    assertFalse(stop.next("ND of it"));
    assertFalse(stop.next("more"));
    stop.end();
    assertEquals(List.of("abc", "\n\nEx", "y"), pieces);
  }

  @Test
  void firstStop_counts() {
    assertFalse(stopAt("c", "b").next("abc"));
    assertEquals(List.of("a"), pieces);
  }

  @Test
  void whatWasHeldBack_isLetOutAtTheEnd() {
    StopStrings stop = stopAt("###");
    assertTrue(stop.next("a##"));
    stop.end();
    assertEquals(List.of("a", "##"), pieces);
  }

  @Test
  void withoutStops_allGoesThrough() {
    StopStrings stop = stopAt();
    assertTrue(stop.next("a"));
    assertTrue(stop.next("b"));
    stop.end();
    assertEquals(List.of("a", "b"), pieces);
  }
}
