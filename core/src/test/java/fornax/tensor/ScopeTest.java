package fornax.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.Shape;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class ScopeTest extends Fixture {
  private long live() {
    return backend.memory().stats().live();
  }

  @Test
  void temporaries_endWithTheirScope() {
    Tensor x = vector(1, 2, 3, 4);
    Tensor y;
    try (var scope = Scope.open()) {
      Tensor h = x.exp();
      y = scope.keep(h.add(1));
      assertEquals(3 * 16, live());
    }
    assertEquals(2 * 16, live());
    assertFalse(y.isClosed());
  }

  @Test
  void kept_movesOneScopeOutward() {
    Tensor y;
    try (var outer = Scope.open()) {
      try (var inner = Scope.open()) {
        y = inner.keep(vector(1));
      }
      assertFalse(y.isClosed());
      assertEquals(1, outer.keep(List.of(vector(2))).size());
    }
    assertTrue(y.isClosed());
    assertEquals(4, live());
  }

  @Test
  void savedValues_liveUntilTheHistoryEnds() {
    Tensor x = leaf(1, 2, 3, 4);
    Tensor y;
    try (var scope = Scope.open()) {
      y = scope.keep(x.exp().square().sum());
    }
    assertEquals(16 + 16 + 4, live()); // x, exp(x) kept for both rules, y
    y.backward();
    assertEquals(16 + 16 + 4, live()); // x, its gradient, y
    y.close();
    x.zeroGrad();
    assertEquals(16, live());
  }

  @Test
  void abandonedHistory_isReleasedWithoutBackward() {
    Tensor x = leaf(1, 2, 3, 4);
    try (var _ = Scope.open()) {
      assertTrue(x.exp().square().requiresGrad());
    }
    assertEquals(16, live());
  }

  @Test
  void closedTensor_saysSo() {
    Tensor x = vector(1, 2);
    x.close();
    x.close();
    IllegalStateException e = assertThrows(IllegalStateException.class, x::exp);
    assertSays("exp: the tensor has been closed; got F32 [2]; need an open one", e);
    assertEquals("Tensor(closed F32 [2])", x.toString());
  }

  @Test
  void scopesOutOfOrder_areAnError() {
    try (var outer = Scope.open()) {
      try (var _ = Scope.open()) {
        assertThrows(IllegalStateException.class, outer::close);
      }
    }
  }

  @Test
  @SuppressWarnings("MustBeClosed") // closed by hand, twice
  void closingAScopeTwice_doesNothing() {
    Tensor before = vector(1);
    Scope inner = Scope.open();
    Tensor x = vector(2);
    inner.close();
    inner.close();
    assertTrue(x.isClosed());
    assertFalse(before.isClosed());
  }

  @Test
  void manyEarlyCloses_doNotGrowAScope() {
    for (int i = 0; i < 10_000; i++) {
      vector(i).close();
    }
    List<Tensor> kept = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      kept.add(vector(i));
    }
    assertEquals(400, live());
    assertEquals(99, kept.get(99).item());
  }

  @Test
  void escaped_isTheCallersToClose() {
    Tensor x;
    try (var _ = Scope.open()) {
      x = vector(1).escape();
    }
    assertEquals(1, x.item());
    x.close();
    assertEquals(0, live());
  }

  @Test
  void forgottenOutsideScopes_isReleasedByTheCollector() throws InterruptedException {
    Thread thread =
        Thread.ofPlatform()
            .start(
                () ->
                    assertTrue(
                        tensors.zeros(DType.F32, Shape.of(8)).requiresGrad(true).requiresGrad()));
    thread.join();
    for (int i = 0; i < 100 && live() > 0; i++) {
      System.gc();
      Thread.sleep(10);
    }
    assertEquals(0, live());
  }

  @Test
  void errorInAnOperation_leavesNothingBehind() {
    Tensor table = matrix(3, 2).contiguous();
    long before = live();
    Tensor wrong = tensors.of(new int[] {0, 7}, Shape.of(2));
    IndexOutOfBoundsException e =
        assertThrows(IndexOutOfBoundsException.class, () -> table.embedding(wrong));
    assertSays("7", e);
    assertEquals(before + 8, live());
  }
}
