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
import fornax.optim.AdamW;
import fornax.optim.GradientClip;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.tensor.Generator;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import fornax.testkit.HostArrays;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

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
    // Small ones go on the compute stream, large ones (over 1 MiB) through the stream of copies, in
    // several pieces.
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

  // ---- waits

  /// A step of a small network with dropout, clipping and AdamW: the host waits nowhere, and from
  /// the second step on asks the system for nothing.
  @Test
  void trainingStep_neverWaits() {
    Tensors on = Tensors.on(backend);
    Shape weightShape = Shape.of(12, 20);
    Shape headShape = Shape.of(20, 7);
    try (var _ = Scope.open();
        var generator = new Generator(backend, 1)) {
      Tensor weight = on.randomNormal(generator, 0, 0.1, weightShape).requiresGrad(true);
      Tensor bias = on.zeros(DType.F32, Shape.of(20)).requiresGrad(true);
      Tensor norm = on.ones(DType.F32, Shape.of(20)).requiresGrad(true);
      Tensor head = on.randomNormal(generator, 0, 0.1, headShape).requiresGrad(true);
      Tensor table = on.randomNormal(generator, 0, 1, Shape.of(9, 12)).requiresGrad(true);
      SequencedMap<String, Tensor> parameters = new LinkedHashMap<>();
      parameters.put("weight", weight);
      parameters.put("bias", bias);
      parameters.put("norm", norm);
      parameters.put("head", head);
      parameters.put("table", table);
      try (var optimizer = new AdamW(ParameterGroup.of(parameters, 0.1), Schedule.constant(1e-2));
          var clip = GradientClip.byGlobalNorm(backend, 1)) {
        double first = Double.NaN;
        double last = Double.NaN;
        for (int step = 0; step < 4; step++) {
          long waits = backend.device().waits();
          long copies = backend.device().copyCount();
          long requests = backend.memory().stats().systemRequests();
          long live = backend.memory().stats().live();
          Readback loss;
          try (var _ = Scope.open()) {
            Tensor tokens = on.of(new int[] {1, 8, 0, 3, 3, 5}, Shape.of(6));
            Tensor targets = on.of(new int[] {0, 6, 2, 1, 1, 4}, Shape.of(6));
            Tensor y =
                table
                    .embedding(tokens)
                    .linear(weight, bias, Unary.GELU_TANH)
                    .layerNorm(norm, null, 1e-5)
                    .dropout(0.1, generator)
                    .matmul(head)
                    .crossEntropy(targets);
            loss = backend.readback(y.array());
            y.backward();
            optimizer.step(clip.scale(optimizer.parameters()));
            optimizer.zeroGrad();
          }
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
    }
    backend.synchronize();
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
  void twoDevices_haveTheirOwnMemoryAndKernels() {
    CudaBackend second = new CudaBackend(CudaDevice.open(CudaProbe.get(), 0));
    try (var work = new Workspace(backend.memory());
        var otherWork = new Workspace(second.memory())) {
      NdArray x = HostArrays.of(backend, work, DType.F32, Shape.of(3), 1, 2, 3);
      NdArray y = HostArrays.of(second, otherWork, DType.F32, Shape.of(3), 4, 5, 6);
      backend.unary(Unary.NEGATE, x, x);
      second.unary(Unary.SQUARE, y, y);
      assertArrayEquals(new double[] {-1, -2, -3}, HostArrays.values(backend, x));
      assertArrayEquals(new double[] {16, 25, 36}, HostArrays.values(second, y));
    } finally {
      second.close();
    }
  }

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
      if (before == null) {
        System.clearProperty("fornax.cuda.code");
      } else {
        System.setProperty("fornax.cuda.code", before);
      }
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
