package fornax.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.DeviceException;
import fornax.backend.NdArray;
import fornax.backend.Workspace;
import fornax.cuda.softwaredevice.SoftwareDevice;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import fornax.testkit.HostArrays;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// `cuda:0` and `cuda:1` side by side: neither knows of the other.
class TwoDevicesTest {
  private static final int STEPS = 4;

  private CudaBackend first;
  private CudaBackend second;

  @BeforeEach
  void open() {
    TestDevice.load();
    if (!TestDevice.isCard()) {
      SoftwareDevice.set("DEVICES", "2");
    }
    assumeTrue(CudaDriver.devices() > 1, "one card");
    first = new CudaBackend(CudaDevice.open(CudaProbe.get(), 0));
    second = new CudaBackend(CudaDevice.open(CudaProbe.get(), 1));
  }

  @AfterEach
  void close() {
    if (second != null) {
      second.close();
      first.close();
    }
    if (!TestDevice.isCard()) {
      SoftwareDevice.reset();
    }
  }

  @Test
  void training_onTheSecond_leavesTheFirstAlone() {
    assertEquals("cuda:1", second.id());
    try (var work = new Workspace(first.memory())) {
      NdArray x = HostArrays.of(first, work, DType.F32, Shape.of(3), 1, 2, 3);
      first.synchronize();
      long launches = first.device().launches();
      long copies = first.device().copyCount();
      long waits = first.device().waits();
      var stats = first.memory().stats();
      float[] losses;
      try (var network = new SmallNetwork(second)) {
        losses = network.losses(STEPS);
      }
      assertTrue(losses[STEPS - 1] < losses[0], losses[0] + " to " + losses[STEPS - 1]);
      assertEquals(launches, first.device().launches());
      assertEquals(copies, first.device().copyCount());
      assertEquals(waits, first.device().waits());
      assertEquals(stats, first.memory().stats());
      assertEquals(0, second.memory().stats().live(), "bytes left on cuda:1");
      assertArrayEquals(new double[] {1, 2, 3}, HostArrays.values(first, x));
    }
  }

  /// Two threads train at the same time; each gets the losses that it would get alone.
  @Test
  void training_onBothAtOnce_givesTheLossesOfEachAlone() throws Exception {
    float[] alone;
    try (var network = new SmallNetwork(first)) {
      alone = network.losses(STEPS);
    }
    try (ExecutorService threads = Executors.newFixedThreadPool(2)) {
      List<Future<float[]>> both = new ArrayList<>();
      for (CudaBackend device : List.of(first, second)) {
        both.add(
            threads.submit(
                () -> {
                  try (var network = new SmallNetwork(device)) {
                    return network.losses(STEPS);
                  }
                }));
      }
      for (Future<float[]> losses : both) {
        assertArrayEquals(alone, losses.get());
      }
    }
  }

  @Test
  void closingOne_leavesTheOther() {
    first.close();
    try (var work = new Workspace(second.memory())) {
      NdArray x = HostArrays.of(second, work, DType.F32, Shape.of(2), 4, 5);
      assertArrayEquals(new double[] {4, 5}, HostArrays.values(second, x));
    }
  }

  @Test
  void tensorsOfBoth_areAnError() {
    try (var _ = Scope.open()) {
      Tensor a = Tensors.on(first).zeros(DType.F32, Shape.of(2));
      Tensor b = Tensors.on(second).zeros(DType.F32, Shape.of(2));
      assertEquals(
          "add: tensors on different devices; got cuda:0 and cuda:1; need one device; move one with"
              + " to(backend)",
          assertThrows(DeviceException.class, () -> a.add(b).close()).getMessage());
      assertEquals(
          "addLayerNorm: tensors on different devices; got cuda:0 and cuda:1; need one device; move"
              + " one with to(backend)",
          assertThrows(DeviceException.class, () -> a.addLayerNorm(a, b, null, 1e-5).sum().close())
              .getMessage());
    }
  }

  /// What belongs to a device lies in its objects: the only static fields that change are what was
  /// found on the machine.
  @Test
  void deviceState_isNeverStatic() throws ReflectiveOperationException {
    Set<String> found = Set.of("CudaProbe.instance");
    List<String> changing = new ArrayList<>();
    for (Class<?> type :
        List.of(
            CudaBackend.class,
            CudaBlock.class,
            CudaCompiler.class,
            CudaDevice.class,
            CudaDriver.class,
            CudaProbe.class,
            Cublas.class,
            Elementwise.class,
            IndexErrors.class,
            Indexing.class,
            Kernel.class,
            Launch.class,
            Normalization.class,
            Nvrtc.class,
            PinnedMemory.class,
            Reduction.class,
            Uploads.class)) {
      for (Field field : type.getDeclaredFields()) {
        boolean constant =
            Modifier.isFinal(field.getModifiers())
                && (field.getType().isPrimitive()
                    || field.getType() == String.class
                    || List.class.isAssignableFrom(field.getType())
                    || field.getType().isArray());
        String name = type.getSimpleName() + "." + field.getName();
        if (Modifier.isStatic(field.getModifiers())
            && !field.isSynthetic()
            && !constant
            && !found.contains(name)) {
          changing.add(name);
        }
      }
    }
    assertEquals(List.of(), changing);
  }
}
