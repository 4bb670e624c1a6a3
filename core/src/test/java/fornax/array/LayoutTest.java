package fornax.array;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class LayoutTest {
  private static final Layout LAYOUT = Layout.of(Shape.of(2, 3, 4));

  // Where the element at `index` lies, straight from the definition.
  private static long place(Layout layout, long... index) {
    long place = layout.offset();
    for (int axis = 0; axis < index.length; axis++) {
      place += index[axis] * layout.stride(axis);
    }
    return place;
  }

  @Test
  void at_followsShapeStridesAndOffset() {
    Layout layout = LAYOUT.swapAxes(0, 2).slice(1, 1, 3); // [4, 2, 2]
    long linear = 0;
    for (long i = 0; i < 4; i++) {
      for (long j = 0; j < 2; j++) {
        for (long k = 0; k < 2; k++) {
          assertEquals(k * 12 + (j + 1) * 4 + i, layout.at(linear));
          assertEquals(place(layout, i, j, k), layout.at(linear));
          linear++;
        }
      }
    }
  }

  @Test
  void views_keepTheElementsPlaces() {
    assertEquals(place(LAYOUT, 1, 2, 3), place(LAYOUT.permute(2, 0, 1), 3, 1, 2));
    assertEquals(place(LAYOUT, 1, 2, 3), place(LAYOUT.swapAxes(-1, -2), 1, 3, 2));
    assertEquals(place(LAYOUT, 1, 2, 3), place(LAYOUT.slice(2, 3, 4), 1, 2, 0));
    Layout expanded = Layout.of(Shape.of(3, 1)).expand(Shape.of(2, 3, 4));
    assertEquals(2, place(expanded, 1, 2, 3));
  }

  @Test
  void isContiguous_meansRowMajorWithoutGaps() {
    assertTrue(LAYOUT.isContiguous());
    assertTrue(LAYOUT.slice(0, 1, 2).isContiguous());
    assertFalse(LAYOUT.slice(1, 0, 2).isContiguous());
    assertFalse(LAYOUT.swapAxes(1, 2).isContiguous());
    assertTrue(Layout.of(Shape.of(1, 4)).swapAxes(0, 1).isContiguous());
    assertTrue(LAYOUT.slice(1, 2, 2).isContiguous());
    assertFalse(Layout.of(Shape.of(1)).expand(Shape.of(3)).isContiguous());
  }

  // The only shape of a strided view that numpy reshapes without a copy is one whose elements, in
  // row-major order, lie at the new strides; found here by trying every stride.
  @Test
  void reshape_isRightAndFoundWhereverOneExists() {
    RandomLayouts layouts = new RandomLayouts(1);
    int views = 0;
    int copies = 0;
    for (int n = 0; n < 20_000; n++) {
      Layout layout = layouts.next();
      Shape target = layouts.regrouped(layout.shape());
      Layout reshaped = layout.reshape(target);
      if (reshaped == null) {
        copies++;
        assertFalse(someStridesFit(layout, target), () -> layout + " to " + target);
      } else {
        views++;
        assertEquals(target, reshaped.shape());
        for (long i = 0; i < target.elements(); i++) {
          assertEquals(layout.at(i), reshaped.at(i), () -> layout + " to " + target);
        }
      }
    }
    assertTrue(views > 1000 && copies > 1000, views + " views, " + copies + " copies");
  }

  // The strides follow from the places of the elements next to the first along each axis.
  private static boolean someStridesFit(Layout layout, Shape target) {
    long[] strides = new long[target.rank()];
    long step = 1;
    for (int axis = target.rank() - 1; axis >= 0; axis--) {
      strides[axis] = target.dim(axis) > 1 ? layout.at(step) - layout.at(0) : 0;
      step *= target.dim(axis);
    }
    Layout candidate = Layout.of(target, strides, layout.at(0));
    for (long i = 0; i < target.elements(); i++) {
      if (candidate.at(i) != layout.at(i)) {
        return false;
      }
    }
    return true;
  }

  @Test
  void reshape_splitsAndJoinsOnlyEvenlySpacedAxes() {
    Layout transposed = LAYOUT.swapAxes(0, 1); // [3, 2, 4]
    assertNull(transposed.reshape(Shape.of(6, 4)));
    assertNotNull(transposed.reshape(Shape.of(3, 1, 2, 2, 2)));
  }

  @Test
  void wrongArguments_areNamed() {
    assertEquals(
        "slice: range outside the axis; got [1, 5) of axis -1 of [2, 3, 4]; need 0 <= start <= end"
            + " <= 4",
        assertThrows(ShapeException.class, () -> LAYOUT.slice(-1, 1, 5)).getMessage());
    assertEquals(
        "reshape: different number of elements; got [2, 3, 4] (24) to [5] (5)",
        assertThrows(ShapeException.class, () -> LAYOUT.reshape(Shape.of(5))).getMessage());
    assertThrows(ShapeException.class, () -> LAYOUT.permute(0, 1));
    assertThrows(ShapeException.class, () -> LAYOUT.permute(0, 1, 1));
    assertThrows(ShapeException.class, () -> LAYOUT.expand(Shape.of(2, 3, 5)));
    assertThrows(ShapeException.class, () -> LAYOUT.expand(Shape.of(3, 4)));
  }
}
