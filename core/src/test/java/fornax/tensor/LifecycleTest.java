package fornax.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.DTypeException;
import fornax.array.Layout;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Binary;
import fornax.backend.DeviceException;
import fornax.backend.NdArray;
import fornax.backend.OutOfDeviceMemoryException;
import fornax.backend.reference.ReferenceBackend;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;

/// What happens to tensors, scopes and generators that are used too late, twice, on other threads
/// or out of order.
class LifecycleTest extends Fixture {
  private static <T> T onAnotherThread(Callable<T> work) throws Exception {
    FutureTask<T> task = new FutureTask<>(work);
    Thread thread = Thread.ofPlatform().start(task);
    thread.join();
    return task.get();
  }

  private static void refusedOnAnotherThread(Callable<?> work) {
    ExecutionException e = assertThrows(ExecutionException.class, () -> onAnotherThread(work));
    assertInstanceOf(IllegalStateException.class, e.getCause());
  }

  private long live() {
    return backend.memory().stats().live();
  }

  // ---- after the end

  @Test
  void arrayOfAClosedTensor_isNotRead() {
    Tensor x = vector(1, 2);
    NdArray array = x.array();
    NdArray y = vector(0, 0).array();
    x.close();
    IllegalStateException e =
        assertThrows(
            IllegalStateException.class, () -> backend.binary(Binary.ADD, array, array, y));
    assertSays("memory: the buffer has been released; got F32 [2]", e);
  }

  @Test
  void arrayOutsideItsBuffer_cannotBeMade() {
    NdArray array = vector(1, 2, 3, 4).array();
    Shape three = Shape.of(3);
    for (Layout outside :
        List.of(
            Layout.of(three, new long[] {1}, 2),
            Layout.of(three, new long[] {2}, 0),
            Layout.of(three, new long[] {-1}, 1),
            Layout.of(three, new long[] {Long.MAX_VALUE}, 0),
            Layout.of(Shape.of(5)))) {
      assertThrows(IllegalArgumentException.class, () -> array.view(outside));
    }
    assertEquals(3, array.view(Layout.of(three, new long[] {-1}, 2)).elements());
    assertEquals(0, array.view(Layout.of(Shape.of(0), new long[] {1}, 99)).elements());
  }

  @Test
  void generator_canBeClosedTwiceButNotUsedAfter() {
    Generator generator = new Generator(backend, 1);
    generator.close();
    generator.close();
    Tensor x = vector(1, 2);
    assertThrows(IllegalStateException.class, () -> x.dropout(0.5, generator));
    assertThrows(IllegalStateException.class, () -> generator.setStep(1));
  }

  @Test
  void closedDevice_saysSo() {
    Backend device = new ReferenceBackend();
    Tensor x = Tensors.on(device).ones(DType.F32, Shape.of(3));
    device.close();
    IllegalStateException e = assertThrows(IllegalStateException.class, x::exp);
    assertSays("the device reference has been closed", e);
    x.close();
    assertEquals(0, device.memory().stats().system());
  }

  // ---- on other threads

  @Test
  void tensor_canBeClosedOnAnotherThread() throws Exception {
    Tensor x = vector(1, 2);
    assertTrue(
        onAnotherThread(
            () -> {
              x.close();
              return x.isClosed();
            }));
    assertEquals(0, live()); // at once; the scope that had it closes it no second time
  }

  @Test
  void tensor_canBeClosedOnSeveralThreadsAtOnce() throws Exception {
    for (int i = 0; i < 300; i++) {
      Tensor x = leaf(1, 2).escape();
      Tensor y = x.square(); // holds x's memory as well
      CyclicBarrier start = new CyclicBarrier(2);
      FutureTask<Integer> other =
          new FutureTask<>(
              () -> {
                int place = start.await();
                x.close();
                return place;
              });
      Thread thread = Thread.ofPlatform().start(other);
      int place = start.await();
      x.close();
      thread.join();
      assertEquals(1, place + other.get());
      assertEquals(8 + 8, live(), "what y needs is still there");
      try (var _ = Scope.open()) {
        y.backward(vector(1, 1));
      }
      y.close();
      assertEquals(0, live());
    }
  }

  @Test
  @SuppressWarnings("try") // closed by hand
  void scope_belongsToItsThread() throws Exception {
    Tensor x = vector(1);
    try (var scope = Scope.open()) {
      Tensor inner = vector(2);
      for (Callable<Object> wrong :
          List.<Callable<Object>>of(() -> scope.keep(inner), inner::escape, x::escape)) {
        refusedOnAnotherThread(wrong);
      }
      refusedOnAnotherThread(
          () -> {
            scope.close();
            return 0;
          });
      assertEquals(2, inner.item());
    }
  }

  @Test
  @SuppressWarnings("try") // closed by hand
  void mode_belongsToItsThread() throws Exception {
    try (var mode = GradMode.noGrad()) {
      refusedOnAnotherThread(
          () -> {
            mode.close();
            return 0;
          });
      assertTrue(onAnotherThread(GradMode::isRecording));
      mode.close();
      assertTrue(GradMode.isRecording());
      try (var _ = GradMode.noGrad()) {
        mode.close(); // again: does nothing
        assertFalse(GradMode.isRecording());
      }
    }
  }

  @Test
  void tensor_canBeReadOnSeveralThreads() throws Exception {
    Tensor x = matrix(40, 30);
    Tensor w = matrix(30, 20);
    double[] alone = x.matmul(w).toDoubleArray();
    List<FutureTask<Boolean>> tasks = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      FutureTask<Boolean> task =
          new FutureTask<>(
              () -> {
                boolean same = true;
                for (int n = 0; n < 20; n++) {
                  try (var _ = Scope.open()) {
                    same &= Arrays.equals(alone, x.matmul(w).toDoubleArray());
                  }
                }
                return same;
              });
      tasks.add(task);
      Thread _ = Thread.ofPlatform().start(task);
    }
    for (FutureTask<Boolean> task : tasks) {
      assertTrue(task.get());
    }
  }

  @Test
  void graph_canBeDifferentiatedOnAnotherThread() throws Exception {
    Tensor x = leaf(1, 2);
    Tensor y = x.square().sum();
    assertNull(
        onAnotherThread(
            () -> {
              y.backward();
              return null;
            }));
    assertEquals(4, grad(x)[1]);
  }

  // ---- after a failure

  @Test
  void backwardThatRanOutOfMemory_isNotDoneTwice() {
    Tensor x = leaf(1, 2);
    Tensor y = x.exp().mul(x).sum();
    backend.memory().refuse(2);
    assertThrows(OutOfDeviceMemoryException.class, y::backward);
    IllegalStateException e = assertThrows(IllegalStateException.class, y::backward);
    assertSays("the graph has been used", e);
    x.zeroGrad();
    x.exp().mul(x).sum().backward();
    assertEquals(2 * Math.E, grad(x)[0], 1e-6);
  }

  // ---- what fits nothing

  @Test
  void seedOfAnotherDevice_isRefused() {
    try (Backend other = new ReferenceBackend()) {
      Tensor y = leaf(1, 2).exp();
      try (Tensor seed = Tensors.on(other).ones(DType.F32, Shape.of(2))) {
        assertThrows(DeviceException.class, () -> y.backward(seed));
        try (var _ = GradMode.noGrad()) {
          Tensor z = vector(1, 2);
          assertThrows(DeviceException.class, () -> z.addInPlace(seed));
          assertThrows(DeviceException.class, () -> z.copyInPlace(seed));
        }
      }
      try (Generator generator = new Generator(other, 1)) {
        assertThrows(DeviceException.class, () -> vector(1, 2).dropout(0.5, generator));
      }
    }
  }

  @Test
  void rangeOfFlags_isRefused() {
    assertThrows(DTypeException.class, () -> tensors.range(DType.BOOL, 0, 1, 4));
  }

  @Test
  void repeatedElements_areNotChangedInPlace() {
    Tensor x = vector(1).expand(3);
    assertThrows(IllegalStateException.class, () -> x.mulInPlace(2));
    Tensor square = matrix(2, 2).contiguous();
    assertThrows(IllegalArgumentException.class, () -> square.addInPlace(square.transpose()));
    assertEquals(8, square.addInPlace(square).toDoubleArray()[3]);
  }
}
