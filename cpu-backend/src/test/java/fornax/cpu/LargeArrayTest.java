package fornax.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Backends;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/// Arrays of more elements than an `int` counts: BF16 `[65537, 32768]`, 4.3 GB, of ones but for a
/// few values beyond the 2³¹st.
@Tag("slow")
class LargeArrayTest {
  private static final long ROWS = (1 << 16) + 1;
  private static final long COLUMNS = 1 << 15;
  private static final long NEEDED_KIB = 10L << 20; // an array, a copy of it, and what tests take

  private static Backend backend;
  private static Scope scope;
  private static Tensor x;

  @BeforeAll
  @SuppressWarnings("MustBeClosedChecker") // by close()
  static void fill() throws IOException {
    long available = availableKib();
    assumeTrue(
        available >= NEEDED_KIB, () -> available + " KiB of memory free; need " + NEEDED_KIB);
    backend = Backends.open("cpu").backend();
    scope = Scope.open();
    x = Tensors.on(backend).ones(DType.BF16, Shape.of(ROWS, COLUMNS));
    assertTrue(x.elements() > Integer.MAX_VALUE);
    Tensor _ = x.select(0, ROWS - 1).slice(0, COLUMNS - 2, COLUMNS).fillInPlace(3);
    Tensor _ = x.select(0, 1).fillInPlace(2);
  }

  @AfterAll
  static void close() {
    if (scope != null) {
      scope.close();
      backend.close();
    }
  }

  private static long availableKib() throws IOException {
    Path memory = Path.of("/proc/meminfo");
    assumeTrue(Files.exists(memory), "who can tell how much memory is free");
    for (String line : Files.readAllLines(memory)) {
      if (line.startsWith("MemAvailable:")) {
        return Long.parseLong(line.replaceAll("[^0-9]", ""));
      }
    }
    return 0;
  }

  private static float[] lastTwo(Tensor last) {
    return last.slice(0, COLUMNS - 2, COLUMNS).to(DType.F32).toFloatArray();
  }

  @Test
  void views_reachTheEnd() {
    try (var _ = Scope.open()) {
      assertArrayEquals(new float[] {3, 3}, lastTwo(x.select(0, ROWS - 1)));
      assertArrayEquals(new float[] {1, 1}, lastTwo(x.select(0, ROWS - 2)));
      Tensor flat = x.reshape(ROWS * COLUMNS);
      Tensor end = flat.slice(0, ROWS * COLUMNS - 3, ROWS * COLUMNS);
      assertArrayEquals(new float[] {1, 3, 3}, end.to(DType.F32).toFloatArray());
    }
  }

  @Test
  void sums_areThoseOfAllElements() {
    try (var _ = Scope.open()) {
      float[] rows = x.sum(1, false).to(DType.F32).toFloatArray();
      assertEquals(0x1p15f, rows[0]);
      assertEquals(0x1p16f, rows[1]);
      assertEquals(0x1p15f, rows[(int) ROWS - 2]);
      float[] columns = x.max(0).to(DType.F32).toFloatArray();
      assertEquals(2, columns[0]);
      assertEquals(3, columns[(int) COLUMNS - 1]);
      assertEquals(3, x.max().item());
      // 2^31 + 2^15 + 2^15 + 4, of which BF16 holds the first 8 bits.
      assertEquals(0x1p31, x.sum().item());
    }
  }

  @Test
  void gather_findsRowsAndColumnsAtTheEnd() {
    try (var _ = Scope.open()) {
      Tensors on = Tensors.on(backend);
      Tensor rows = on.of(new int[] {(int) ROWS - 1, 1}, Shape.of(2));
      Tensor found = x.indexSelect(0, rows);
      assertArrayEquals(new float[] {3, 3}, lastTwo(found.select(0, 0)));
      assertArrayEquals(new float[] {2, 2}, lastTwo(found.select(0, 1)));
      assertArrayEquals(new float[] {3, 3}, lastTwo(x.embedding(rows).select(0, 0)));
      Tensor columns = on.of(new int[] {(int) COLUMNS - 1}, Shape.of(1));
      float[] last = x.indexSelect(1, columns).to(DType.F32).toFloatArray();
      assertEquals(3, last[(int) ROWS - 1]);
      assertEquals(1, last[0]);
    }
  }

  @Test
  void copies_andChangesInPlace_reachTheEnd() {
    try (var _ = Scope.open()) {
      Tensor y = x.mul(2);
      assertArrayEquals(new float[] {6, 6}, lastTwo(y.select(0, ROWS - 1)));
      assertArrayEquals(new float[] {4, 4}, lastTwo(y.select(0, 1)));
      Tensor _ = y.addInPlace(x);
      assertArrayEquals(new float[] {9, 9}, lastTwo(y.select(0, ROWS - 1)));
      Tensor _ = y.transpose().select(1, ROWS - 1).copyInPlace(x.select(0, 1));
      assertArrayEquals(new float[] {2, 2}, lastTwo(y.select(0, ROWS - 1)));
    }
  }

  @Test
  void products_takeRowsAtTheEnd() {
    try (var _ = Scope.open()) {
      Tensor weight = Tensors.on(backend).ones(DType.BF16, Shape.of(COLUMNS, 1));
      float[] y = x.matmul(weight).to(DType.F32).toFloatArray();
      assertEquals(0x1p16f, y[1]);
      assertEquals(0x1p15f, y[(int) ROWS - 2]);
      assertEquals(0x1p15f, y[(int) ROWS - 1]); // and 4, which BF16 does not hold
    }
  }
}
