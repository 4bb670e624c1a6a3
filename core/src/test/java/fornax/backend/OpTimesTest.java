package fornax.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.Shape;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class OpTimesTest {
  @AfterEach
  void forget() {
    System.clearProperty("fornax.profile");
  }

  @Test
  void backend_measuresNothingUnlessAsked() {
    try (Backend backend = Backends.open("reference").backend();
        var work = new Workspace(backend.memory())) {
      backend.fill(work.allocate(DType.F32, Shape.of(3)), 1);
      assertTrue(backend.kernelTimes().isEmpty());
    }
  }

  @Test
  void operations_areCountedAndTimedOnce() {
    System.setProperty("fornax.profile", "true");
    try (Backend backend = Backends.open("reference").backend();
        Backend other = Backends.open("reference").backend();
        var work = new Workspace(backend.memory())) {
      NdArray x = work.allocate(DType.F32, Shape.of(300, 300));
      NdArray y = work.allocate(DType.F32, x.shape());
      backend.fill(x, 1);
      backend.softmax(x, -1, y); // on this backend made of others
      long start = System.nanoTime();
      backend.matmul(x, y, x, false);
      backend.matmul(x, y, x, false);
      long passed = System.nanoTime() - start;
      List<KernelTime> times = backend.kernelTimes();
      assertEquals(
          List.of("fill", "matmul", "softmax"),
          times.stream().map(KernelTime::op).sorted().toList());
      KernelTime matmul = times.getFirst(); // by far the longest
      assertEquals("matmul", matmul.kernel());
      assertEquals(2, matmul.launches());
      assertTrue(matmul.nanos() <= passed && matmul.nanos() > passed / 2, times::toString);
      assertTrue(backend.kernelTimes().isEmpty());
      assertEquals(backend, backend);
      assertNotEquals(backend, other);
    }
  }

  @Test
  void exceptions_areTheBackendsOwn() {
    System.setProperty("fornax.profile", "true");
    try (Backend backend = Backends.open("reference").backend();
        var work = new Workspace(backend.memory())) {
      NdArray indices = work.allocate(DType.I32, Shape.of(1));
      NdArray x = work.allocate(DType.F32, Shape.of(2, 1));
      NdArray y = work.allocate(DType.F32, Shape.of(1, 1));
      backend.fill(indices, 2);
      assertThrows(IndexOutOfBoundsException.class, () -> backend.embedding(x, indices, y));
    }
  }
}
