package fornax.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.Layout;
import fornax.array.Shape;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class StridedLoopTest {
  @Test
  void of_joinsContiguousOperandsIntoOneRun() {
    Layout layout = Layout.of(Shape.of(3, 1, 5, 7));
    StridedLoop loop = StridedLoop.of(layout, layout);
    assertArrayEquals(new long[] {105}, loop.dims());
    assertTrue(loop.isContiguous());
  }

  @Test
  void of_keepsAxesApartWhereOneOperandIsTransposed() {
    Layout x = Layout.of(Shape.of(5, 3)).permute(1, 0);
    StridedLoop loop = StridedLoop.of(x, Layout.of(Shape.of(3, 5)));
    assertArrayEquals(new long[] {3, 5}, loop.dims());
    assertFalse(loop.isContiguous());
  }

  @Test
  void pieces_coverEveryElementOnceInOrder() {
    // Nine axes that do not join: every second element along each.
    long[] strides = new long[9];
    long step = 2;
    for (int axis = 8; axis >= 0; axis--) {
      strides[axis] = step;
      step *= 5;
    }
    Layout layout = Layout.of(Shape.of(2, 2, 2, 2, 2, 2, 2, 2, 2), strides, 3);
    List<Long> places = new ArrayList<>();
    for (StridedLoop piece : StridedLoop.of(layout).pieces()) {
      assertTrue(piece.rank() <= StridedLoop.MAX_DIMS);
      assertEquals(places.size(), piece.first());
      for (long i = 0; i < piece.elements(); i++) {
        places.add(place(piece, i));
      }
    }
    assertEquals(512, places.size());
    for (int i = 0; i < 512; i++) {
      assertEquals(layout.at(i), places.get(i));
    }
  }

  @Test
  void pieces_areSmallEnoughFor32BitIndices() {
    long[] strides = {1L << 40, 2};
    Layout layout = Layout.of(Shape.of(5, 1L << 29), strides, 0);
    long next = 0;
    for (StridedLoop piece : StridedLoop.of(layout).pieces()) {
      assertTrue(piece.elements() <= 1L << 30);
      assertEquals(next, piece.first());
      assertEquals(layout.at(next), piece.offsets()[0]);
      next += piece.elements();
    }
    assertEquals(5L << 29, next);
  }

  private static long place(StridedLoop loop, long linear) {
    long place = loop.offsets()[0];
    for (int d = loop.rank() - 1; d >= 0; d--) {
      place += linear % loop.dims()[d] * loop.strides()[0][d];
      linear /= loop.dims()[d];
    }
    return place;
  }
}
