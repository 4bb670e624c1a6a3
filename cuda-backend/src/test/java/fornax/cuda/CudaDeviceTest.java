package fornax.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Binary;
import fornax.backend.DeviceException;
import fornax.backend.NdArray;
import fornax.backend.Owner;
import fornax.backend.Readback;
import fornax.backend.Unary;
import fornax.backend.Workspace;
import fornax.cuda.softwaredevice.SoftwareDevice;
import fornax.testkit.HostArrays;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What the host does round the kernels: copies, waits, errors, the life of a device.
class CudaDeviceTest {
  private CudaBackend backend;

  @BeforeEach
  void open() {
    backend = TestDevice.open();
  }

  @AfterEach
  void close() {
    if (backend != null) {
      backend.close();
    }
  }

  // ---- copies

  @Test
  void copies_keepTheirOrderWithWork_atEverySize() {
    // Uploads go through the stream of copies, large ones in several pieces; so do large readbacks
    // (over 1 MiB).
    for (int size : new int[] {1, 1000, 300_000, 1_700_001}) {
      float[] values = new float[size];
      for (int i = 0; i < size; i++) {
        values[i] = i % 1000;
      }
      try (var work = new Workspace(backend.memory())) {
        NdArray x = work.allocate(DType.F32, Shape.of(size));
        backend.upload(MemorySegment.ofArray(values), x);
        backend.binary(Binary.ADD, x, 1, x);
        Readback readback = backend.readback(x);
        backend.binary(Binary.MULTIPLY, x, -1, x); // must not reach the copy under way
        Readback second = backend.readback(x);
        assertEquals(values[size - 1] + 1, last(readback));
        assertEquals(-values[size - 1] - 1, last(second));
        assertEquals(-1f, second.await().get(JAVA_FLOAT, 0));
      }
    }
  }

  private static float last(Readback readback) {
    MemorySegment segment = readback.await();
    return segment.get(JAVA_FLOAT, segment.byteSize() - 4);
  }

  @Test
  void upload_returnsWhenItsSourceMayBeReused() {
    try (var work = new Workspace(backend.memory())) {
      NdArray x = work.allocate(DType.F32, Shape.of(100));
      float[] values = new float[100];
      for (int round = 0; round < 300; round++) { // round the staging ring more than once
        Arrays.fill(values, round);
        backend.upload(MemorySegment.ofArray(values), x);
        Arrays.fill(values, -1);
        if (round % 50 == 0) {
          assertEquals(round, HostArrays.values(backend, x)[99]);
        }
      }
    }
  }

  /// What is uploaded crosses the bus while earlier work still runs, and reaches its place behind
  /// it.
  @Test
  void upload_overtakesEarlierWork_butNotInItsPlace() {
    assumeFalse(TestDevice.isCard(), "a card may have done its work by then");
    SoftwareDevice.set("STREAMS", "lazy");
    try (var work = new Workspace(backend.memory())) {
      NdArray x = work.allocate(DType.F32, Shape.of(3000));
      NdArray y = work.allocate(DType.F32, Shape.of(3000));
      backend.fill(x, 7);
      for (int i = 0; i < 20; i++) {
        backend.unary(Unary.NEGATE, x, y);
      }
      float[] batch = new float[3000];
      Arrays.fill(batch, 2);
      backend.upload(MemorySegment.ofArray(batch), x);
      assertEquals(0, JCudaDriver.cuStreamSynchronize(backend.device().copies()));
      assertEquals(
          CUresult.CUDA_ERROR_NOT_READY, JCudaDriver.cuStreamQuery(backend.device().compute()));
      assertEquals(-7, HostArrays.values(backend, y)[2999]);
      assertEquals(2, HostArrays.values(backend, x)[2999]);
    } finally {
      SoftwareDevice.reset();
    }
  }

  @Test
  void readbacksThatNobodyFetches_giveTheirPinnedMemoryBack() throws InterruptedException {
    try (var work = new Workspace(backend.memory())) {
      NdArray x = work.allocate(DType.F32, Shape.of(100));
      backend.fill(x, 1);
      for (int i = 0; i < 20; i++) {
        Readback _ = backend.readback(x);
      }
      int slots = backend.device().pinnedSlots();
      backend.synchronize();
      // A collection needs a moment to tell; meanwhile each turn asks for one slot and drops it.
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
      int dropped = 0;
      while (dropped < 20 && System.nanoTime() < end) {
        System.gc();
        Thread.sleep(5);
        int before = backend.device().pinnedSlots();
        Readback _ = backend.readback(x);
        backend.synchronize();
        dropped = backend.device().pinnedSlots() == before ? dropped + 1 : 0;
      }
      assertEquals(20, dropped, "readbacks in a row that asked the system for nothing");
      assertTrue(backend.device().pinnedSlots() <= slots + 5, "slots");
      assertEquals(1, backend.readback(x).await().get(JAVA_FLOAT, 396));
    }
  }

  // ---- waits

  /// A step of a small network with dropout, clipping and AdamW: the host waits nowhere, and from
  /// the second step on asks the system for nothing.
  @Test
  void trainingStep_neverWaits() {
    try (var network = new SmallNetwork(backend)) {
      double first = Double.NaN;
      double last = Double.NaN;
      for (int step = 0; step < 4; step++) {
        long waits = backend.device().waits();
        long copies = backend.device().copyCount();
        long requests = backend.memory().stats().systemRequests();
        long live = backend.memory().stats().live();
        Readback loss = network.step();
        assertEquals(0, backend.device().waits() - waits, "waits of step " + step);
        if (step > 0) {
          assertEquals(0, backend.memory().stats().systemRequests() - requests);
          assertEquals(live, backend.memory().stats().live());
          // two batches, the random step, AdamW's factors; the loss and its index errors
          assertTrue(backend.device().copyCount() - copies <= 8);
        }
        last = loss.await().get(JAVA_FLOAT, 0);
        first = step == 0 ? last : first;
      }
      assertTrue(last < first, first + " to " + last);
    }
    backend.synchronize();
  }

  /// The same by the driver's own count, without guard words, whose checks wait: from the second
  /// step on, no call synchronises or may synchronise.
  @Test
  void trainingStep_makesNoCallThatWaits(@TempDir Path folder) throws IOException {
    assumeFalse(TestDevice.isCard(), "the software device keeps the log");
    Path log = folder.resolve("calls.json");
    String before = System.setProperty("fornax.memory.guard", "false");
    try (var unguarded = TestDevice.open();
        var network = new SmallNetwork(unguarded)) {
      Readback _ = network.step();
      unguarded.synchronize();
      SoftwareDevice.set("LOG", log.toString());
      List<Readback> losses = new ArrayList<>();
      for (int step = 0; step < 20; step++) {
        losses.add(network.step());
      }
      SoftwareDevice.set("LOG", "");
      assertNoWait(Files.readAllLines(log));
      float first = losses.getFirst().await().get(JAVA_FLOAT, 0);
      float last = losses.getLast().await().get(JAVA_FLOAT, 0);
      assertTrue(last < first, first + " to " + last);
    } finally {
      restore("fornax.memory.guard", before);
      SoftwareDevice.reset();
    }
  }

  // Synchronisations, and what synchronises without saying so.
  private static void assertNoWait(List<String> calls) {
    List<String> waits =
        calls.stream()
            .filter(
                call ->
                    call.contains("\"synchronize\"")
                        || call.contains("\"synchronous\":true")
                        || call.contains("\"allocate\"")
                        || call.contains("\"free"))
            .toList();
    assertEquals(List.of(), waits);
    assertTrue(
        calls.stream().filter(call -> call.contains("\"launch\"")).count() > 400, "launches");
    assertTrue(calls.stream().anyMatch(call -> call.contains("HtoD")), "uploads");
  }

  // ---- errors

  @Test
  void wrongIndex_isReportedOnce_withItsPlace() {
    try (var work = new Workspace(backend.memory())) {
      NdArray x = work.allocate(DType.F32, Shape.of(5, 3));
      backend.fill(x, 1);
      NdArray indices = HostArrays.of(backend, work, DType.I32, Shape.of(2, 3), 0, 4, 1, 2, 5, 3);
      NdArray y = work.allocate(DType.F32, Shape.of(2, 3));
      backend.gather(x, 0, indices, y);
      backend.unary(Unary.EXP, x, x); // goes on
      IndexOutOfBoundsException error =
          assertThrows(IndexOutOfBoundsException.class, backend::synchronize);
      assertEquals(
          "gather: index outside the axis; got 5 at position [1, 1]; need 0 <= index < 5",
          error.getMessage());
      backend.synchronize();
      assertEquals(Math.exp(1), HostArrays.values(backend, x)[0], 1e-6);
    }
  }

  @Test
  void wrongIndex_isReportedByTheNextReadback() {
    try (var work = new Workspace(backend.memory())) {
      NdArray table = work.allocate(DType.F32, Shape.of(5, 3));
      backend.fill(table, 1);
      NdArray indices = HostArrays.of(backend, work, DType.I32, Shape.of(2), 0, -7);
      NdArray y = work.allocate(DType.F32, Shape.of(2, 3));
      backend.fill(y, 0);
      backend.embedding(table, indices, y);
      Readback readback = backend.readback(table);
      assertEquals(
          "embedding: index outside the axis; got -7 at position [1]; need 0 <= index < 5",
          assertThrows(IndexOutOfBoundsException.class, readback::await).getMessage());
      assertArrayEquals(new double[] {1, 1, 1, 0, 0, 0}, HostArrays.values(backend, y));
    }
  }

  @Test
  void lateError_namesTheLaunchesBeforeIt() {
    assumeFalse(TestDevice.isCard(), "a fault takes the card's context away from other tests");
    backend
        .device()
        .kernel("faultyOperation", "fill", "fill_range")
        .address(64) // no address of the device
        .integer(0)
        .real64(0)
        .real64(0)
        .number(1)
        .threads(1);
    String message =
        String.valueOf(assertThrows(DeviceException.class, backend::synchronize).getMessage());
    assertTrue(message.contains("CUDA_ERROR_ILLEGAL_ADDRESS"), message);
    assertTrue(message.contains("faultyOperation"), message);
    assertTrue(message.contains("-Dfornax.check=true"), message);
  }

  @Test
  void wrongLaunch_namesKernelFileAndGrid() {
    Launch launch = backend.device().kernel("tooWide", "fill", "fill_range");
    String message =
        String.valueOf(
            assertThrows(DeviceException.class, () -> launch.run(1, 1, 1, 2048, 1)).getMessage());
    for (String part : List.of("tooWide", "fill_range", "fill.cu", "[1, 1, 1]", "[2048, 1]")) {
      assertTrue(message.contains(part), message);
    }
  }

  @Test
  void f64_isRefused() {
    try (var work = new Workspace(backend.memory())) {
      NdArray x = work.allocate(DType.F64, Shape.of(3));
      assertThrows(DeviceException.class, () -> backend.fill(x, 1));
      assertThrows(DeviceException.class, () -> backend.unary(Unary.EXP, x, x));
    }
  }

  // ---- life

  @Test
  void closedDevice_saysSo() {
    backend.close();
    backend.close();
    assertThrows(IllegalStateException.class, backend::synchronize);
  }

  @Test
  void memoryReleasedAfterTheDevice_isNoError() {
    NdArray x = backend.memory().allocate(DType.F32, Shape.of(3), Owner.WORKSPACE);
    backend.close();
    x.buffer().release();
    assertEquals(0, backend.memory().stats().live());
  }

  @Test
  void refusedCubin_isReplacedByPtx() {
    assumeFalse(TestDevice.isCard(), "a card takes its cubins");
    String before = System.setProperty("fornax.cuda.code", "auto");
    try (var fresh = new CudaBackend(CudaDevice.open(CudaProbe.get(), 0));
        var work = new Workspace(fresh.memory())) {
      NdArray x = HostArrays.of(fresh, work, DType.F32, Shape.of(2), 1, 0);
      NdArray y = work.allocate(DType.BOOL, Shape.of(2));
      fresh.copy(x, y); // copy.cu is small
      assertArrayEquals(new double[] {1, 0}, HostArrays.values(fresh, y));
    } finally {
      restore("fornax.cuda.code", before);
    }
  }

  private static void restore(String property, @Nullable String before) {
    if (before == null) {
      System.clearProperty(property);
    } else {
      System.setProperty(property, before);
    }
  }

  @Test
  void ptxTooNewForTheDriver_isReplacedByAnOlderOne() {
    assumeFalse(TestDevice.isCard(), "a card has one driver");
    SoftwareDevice.set("DRIVER", "11.8"); // knows PTX up to 7.8; NVRTC 12 makes 8.x
    try (var fresh = new CudaBackend(CudaDevice.open(CudaProbe.get(), 0));
        var work = new Workspace(fresh.memory())) {
      NdArray x = work.allocate(DType.F32, Shape.of(2));
      fresh.fill(x, 3);
      assertArrayEquals(new double[] {3, 3}, HostArrays.values(fresh, x));
    } finally {
      SoftwareDevice.reset();
    }
  }
}
