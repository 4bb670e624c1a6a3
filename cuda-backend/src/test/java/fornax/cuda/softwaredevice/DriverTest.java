package fornax.cuda.softwaredevice;

import static jcuda.driver.CUresult.CUDA_ERROR_ILLEGAL_ADDRESS;
import static jcuda.driver.CUresult.CUDA_ERROR_INVALID_VALUE;
import static jcuda.driver.CUresult.CUDA_ERROR_NOT_READY;
import static jcuda.driver.CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU;
import static jcuda.driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY;
import static jcuda.driver.CUresult.CUDA_SUCCESS;
import static jcuda.driver.JCudaDriver.cuCtxCreate;
import static jcuda.driver.JCudaDriver.cuCtxDestroy;
import static jcuda.driver.JCudaDriver.cuCtxSynchronize;
import static jcuda.driver.JCudaDriver.cuDeviceGet;
import static jcuda.driver.JCudaDriver.cuDeviceGetAttribute;
import static jcuda.driver.JCudaDriver.cuDeviceGetName;
import static jcuda.driver.JCudaDriver.cuDeviceTotalMem;
import static jcuda.driver.JCudaDriver.cuEventCreate;
import static jcuda.driver.JCudaDriver.cuEventElapsedTime;
import static jcuda.driver.JCudaDriver.cuEventQuery;
import static jcuda.driver.JCudaDriver.cuEventRecord;
import static jcuda.driver.JCudaDriver.cuEventSynchronize;
import static jcuda.driver.JCudaDriver.cuFuncGetAttribute;
import static jcuda.driver.JCudaDriver.cuFuncSetAttribute;
import static jcuda.driver.JCudaDriver.cuGraphDestroy;
import static jcuda.driver.JCudaDriver.cuGraphExecDestroy;
import static jcuda.driver.JCudaDriver.cuGraphInstantiate;
import static jcuda.driver.JCudaDriver.cuGraphLaunch;
import static jcuda.driver.JCudaDriver.cuMemAlloc;
import static jcuda.driver.JCudaDriver.cuMemAllocManaged;
import static jcuda.driver.JCudaDriver.cuMemFree;
import static jcuda.driver.JCudaDriver.cuMemGetInfo;
import static jcuda.driver.JCudaDriver.cuMemHostAlloc;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoDAsync;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoH;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoD;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoDAsync;
import static jcuda.driver.JCudaDriver.cuMemsetD32;
import static jcuda.driver.JCudaDriver.cuMemsetD32Async;
import static jcuda.driver.JCudaDriver.cuModuleLoadData;
import static jcuda.driver.JCudaDriver.cuStreamBeginCapture;
import static jcuda.driver.JCudaDriver.cuStreamCreate;
import static jcuda.driver.JCudaDriver.cuStreamEndCapture;
import static jcuda.driver.JCudaDriver.cuStreamSynchronize;
import static jcuda.driver.JCudaDriver.cuStreamWaitEvent;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdevice_attribute;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUevent;
import jcuda.driver.CUfunction;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUmodule;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The driver's own promises: what it refuses, what it does late, what it counts.
class DriverTest {
  private static final int NON_BLOCKING = 1;

  private final String ptx = SoftwareDevice.fixture("kernels.ptx");

  @Test
  void device_namesItselfAndHasTheChosenCapability() {
    try (var _ = new Gpu("CAPABILITY", "9.0", "MEMORY", "3g", "DEVICES", "2")) {
      var name = new byte[64];
      var device = new CUdevice();
      Gpu.check(cuDeviceGet(device, 1));
      Gpu.check(cuDeviceGetName(name, name.length, device));
      assertEquals("software CUDA (test only)", new String(name, StandardCharsets.UTF_8).trim());
      assertEquals(
          9, attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR));
      assertEquals(
          227 << 10,
          attribute(
              device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN));
      var bytes = new long[1];
      Gpu.check(cuDeviceTotalMem(bytes, device));
      assertEquals(3L << 30, bytes[0]);
    }
  }

  private static int attribute(CUdevice device, int attribute) {
    var value = new int[1];
    Gpu.check(cuDeviceGetAttribute(value, attribute, device));
    return value[0];
  }

  @Test
  void memory_startsPoisonedAndIsLimited() {
    try (var gpu = new Gpu("MEMORY", "1m")) {
      CUdeviceptr a = gpu.allocate(1000);
      assertArrayEquals(new int[] {0xfffdfffd, 0xfffdfffd}, gpu.ints(a, 2));
      var free = new long[1];
      var total = new long[1];
      Gpu.check(cuMemGetInfo(free, total));
      assertEquals((1 << 20) - 1024, free[0]);
      assertEquals(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc(new CUdeviceptr(), 1 << 20));
      Gpu.check(cuMemFree(a));
      Gpu.check(cuMemGetInfo(free, total));
      assertEquals(1 << 20, free[0]);
      assertEquals(CUDA_ERROR_INVALID_VALUE, cuMemFree(a), "freed twice");
    }
  }

  @Test
  void copies_beyondAnAllocationAreRefused() {
    try (var gpu = new Gpu()) {
      CUdeviceptr a = gpu.upload(1, 2, 3);
      assertEquals(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(a, Pointer.to(new int[4]), 16));
      assertTrue(SoftwareDevice.message().contains("4 bytes beyond the end of allocation"));
      assertEquals(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(Pointer.to(new int[4]), a, 16));
      assertEquals(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(a, 0, 4));
      assertEquals(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(a.withByteOffset(2), 0, 1));
      Gpu.check(cuMemsetD32(a.withByteOffset(4), 9, 2));
      assertArrayEquals(new int[] {1, 9, 9}, gpu.ints(a, 3));
      Gpu.check(cuMemFree(a));
      assertEquals(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(Pointer.to(new int[3]), a, 12));
      assertTrue(SoftwareDevice.message().contains("memory that was freed"));
    }
  }

  @Test
  void kernel_usingFreedMemoryFails_andTheErrorStays() {
    try (var gpu = new Gpu()) {
      CUdeviceptr a = gpu.upload(1f, 2f);
      CUdeviceptr b = gpu.upload(1f, 2f);
      CUfunction add = gpu.function(ptx, "vectorAdd");
      Gpu.check(cuMemFree(a));
      var fault =
          assertThrows(Gpu.Fault.class, () -> gpu.run(add, Gpu.Shape.of(1, 32), a, b, b, 2));
      assertEquals(CUDA_ERROR_ILLEGAL_ADDRESS, fault.code);
      assertTrue(String.valueOf(fault.getMessage()).contains("memory that was freed"));
      assertTrue(String.valueOf(fault.getMessage()).contains("kernels.cu:12"));
      assertEquals(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize(), "sticky");
    }
  }

  @Test
  void launches_areChecked() {
    try (var gpu = new Gpu()) {
      CUdeviceptr a = gpu.allocate(4096);
      CUfunction add = gpu.function(ptx, "vectorAdd");
      CUfunction transpose = gpu.function(ptx, "transpose");
      refused(gpu, add, new Gpu.Shape(0, 1, 32, 1, 0), "grid (0, 1, 1)");
      refused(gpu, add, new Gpu.Shape(1, 65536, 32, 1, 0), "grid (1, 65536, 1)");
      refused(gpu, add, new Gpu.Shape(1, 1, 1025, 1, 0), "1024 threads");
      refused(gpu, add, new Gpu.Shape(1, 1, 64, 32, 0), "1024 threads");
      refused(gpu, transpose, new Gpu.Shape(1, 1, 32, 32, 49153), "dynamic shared memory");
      Gpu.check(
          cuFuncSetAttribute(
              transpose,
              CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
              163 << 10));
      gpu.run(transpose, new Gpu.Shape(1, 1, 32, 32, 163 << 10), a, a, 32, 32);
      assertEquals(
          CUDA_ERROR_INVALID_VALUE,
          cuFuncSetAttribute(
              transpose,
              CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
              164 << 10));
      var value = new int[1];
      Gpu.check(
          cuFuncGetAttribute(
              value,
              CUfunction_attribute.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES,
              gpu.function(ptx, "blockSum")));
      assertEquals(1024, value[0]);
    }
  }

  private static void refused(Gpu gpu, CUfunction function, Gpu.Shape shape, String why) {
    CUdeviceptr a = gpu.allocate(4);
    var fault = assertThrows(Gpu.Fault.class, () -> gpu.launch(function, shape, null, a, a, a, 1));
    assertEquals(CUDA_ERROR_INVALID_VALUE, fault.code);
    assertTrue(String.valueOf(fault.getMessage()).contains(why), fault.getMessage());
  }

  @Test
  void modules_ofTheWrongKindAreRefused() {
    try (var _ = new Gpu("CAPABILITY", "7.5", "DRIVER", "12.4")) {
      var module = new CUmodule();
      byte[] cubin = {0x7f, 'E', 'L', 'F', 2, 1, 1, 0};
      assertEquals(CUDA_ERROR_NO_BINARY_FOR_GPU, cuModuleLoadData(module, cubin));
      assertEquals(CUresult.CUDA_ERROR_INVALID_PTX, load("not PTX at all;\0"));
      assertEquals(
          CUresult.CUDA_ERROR_INVALID_PTX,
          load(".version 8.4\n.target sm_80\n.address_size 64\n\0"));
      assertEquals(
          222, load(".version 8.5\n.target sm_70\n.address_size 64\n\0"), "newer than the driver");
      assertEquals(CUDA_SUCCESS, load(".version 8.4\n.target sm_70\n.address_size 64\n\0"));
    }
  }

  private static int load(String text) {
    return cuModuleLoadData(new CUmodule(), text.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void functionsOfTheDriverThatAreMissing_refuseByName() {
    try (var _ = new Gpu()) {
      assertEquals(CUresult.CUDA_ERROR_NOT_SUPPORTED, cuMemAllocManaged(new CUdeviceptr(), 4, 1));
      assertTrue(SoftwareDevice.message().startsWith("cuMemAllocManaged:"));
    }
  }

  @Test
  void pinnedMemory_isReadWhenTheCopyRuns() {
    try (var gpu = new Gpu()) {
      var stream = stream();
      var pinned = new Pointer();
      Gpu.check(cuMemHostAlloc(pinned, 4, 0));
      ByteBuffer host = pinned.getByteBuffer(0, 4).order(ByteOrder.nativeOrder());
      CUdeviceptr a = gpu.upload(0);
      host.putInt(0, 1);
      Gpu.check(cuMemcpyHtoDAsync(a, pinned, 4, stream));
      host.putInt(0, 2); // too early
      Gpu.check(cuStreamSynchronize(stream));
      assertEquals(2, gpu.ints(a, 1)[0]);
    }
  }

  @Test
  void pageableMemory_mayBeReusedAtOnce() {
    try (var gpu = new Gpu()) {
      var stream = stream();
      CUdeviceptr a = gpu.upload(0);
      int[] host = {1};
      Gpu.check(cuMemcpyHtoDAsync(a, Pointer.to(host), 4, stream));
      host[0] = 2;
      Gpu.check(cuStreamSynchronize(stream));
      assertEquals(1, gpu.ints(a, 1)[0]);
    }
  }

  @Test
  void streamsThatDoNotWait_seeOldValues() {
    try (var gpu = new Gpu()) {
      var one = stream();
      var two = stream();
      CUdeviceptr a = gpu.upload(1);
      CUdeviceptr b = gpu.upload(0);
      Gpu.check(cuMemsetD32Async(a, 5, 1, one));
      Gpu.check(cuMemcpyDtoDAsync(b, a, 4, two));
      Gpu.check(cuStreamSynchronize(two));
      assertEquals(1, gpu.ints(b, 1)[0], "no event orders the copy after the memset");

      var event = new CUevent();
      Gpu.check(cuEventCreate(event, 0));
      Gpu.check(cuEventRecord(event, one));
      Gpu.check(cuStreamWaitEvent(two, event, 0));
      Gpu.check(cuMemcpyDtoDAsync(b, a, 4, two));
      Gpu.check(cuStreamSynchronize(two));
      assertEquals(5, gpu.ints(b, 1)[0]);
    }
  }

  @Test
  void legacyStream_waitsForBlockingStreamsOnly() {
    try (var gpu = new Gpu()) {
      var blocking = new CUstream();
      Gpu.check(cuStreamCreate(blocking, 0));
      var other = stream();
      CUdeviceptr a = gpu.upload(1, 1);
      Gpu.check(cuMemsetD32Async(a, 5, 1, blocking));
      Gpu.check(cuMemsetD32Async(a.withByteOffset(4), 6, 1, other));
      assertArrayEquals(new int[] {5, 1}, gpu.ints(a, 2));
      Gpu.check(cuCtxSynchronize());
      assertArrayEquals(new int[] {5, 6}, gpu.ints(a, 2));
    }
  }

  @Test
  void events_areUnfinishedUntilAskedFor() {
    try (var gpu = new Gpu()) {
      var stream = stream();
      CUdeviceptr a = gpu.upload(1);
      var start = new CUevent();
      var end = new CUevent();
      Gpu.check(cuEventCreate(start, 0));
      Gpu.check(cuEventCreate(end, 0));
      Gpu.check(cuEventRecord(start, stream));
      Gpu.check(cuMemsetD32Async(a, 5, 1, stream));
      Gpu.check(cuEventRecord(end, stream));
      assertEquals(CUDA_ERROR_NOT_READY, cuEventQuery(end));
      var millis = new float[1];
      assertEquals(CUDA_ERROR_NOT_READY, cuEventElapsedTime(millis, start, end));
      Gpu.check(cuEventSynchronize(end));
      Gpu.check(cuEventElapsedTime(millis, start, end));
      assertTrue(millis[0] >= 0);
    }
  }

  @Test
  void graphs_replayWhatWasCaptured() {
    try (var gpu = new Gpu()) {
      var stream = stream();
      CUdeviceptr a = gpu.upload(1f, 2f);
      CUdeviceptr b = gpu.upload(10f, 20f);
      CUfunction add = gpu.function(ptx, "vectorAdd");
      Gpu.check(cuStreamBeginCapture(stream, 0));
      gpu.launch(add, Gpu.Shape.of(1, 32), stream, a, b, a, 2);
      assertEquals(900, cuStreamSynchronize(stream), "not permitted while capturing");
      assertEquals(901, cuStreamEndCapture(stream, new CUgraph()), "invalidated");

      Gpu.check(cuStreamBeginCapture(stream, 0));
      gpu.launch(add, Gpu.Shape.of(1, 32), stream, a, b, a, 2);
      Gpu.check(cuMemcpyDtoDAsync(b, a, 4, stream));
      var graph = new CUgraph();
      Gpu.check(cuStreamEndCapture(stream, graph));
      var executable = new CUgraphExec();
      Gpu.check(cuGraphInstantiate(executable, graph, 0));
      Gpu.check(cuGraphDestroy(graph));
      assertArrayEquals(new float[] {1, 2}, gpu.floats(a, 2), "captured, not run");
      Gpu.check(cuGraphLaunch(executable, stream));
      Gpu.check(cuGraphLaunch(executable, stream));
      Gpu.check(cuStreamSynchronize(stream));
      assertArrayEquals(new float[] {22, 42}, gpu.floats(a, 2));
      Gpu.check(cuGraphExecDestroy(executable));
    }
  }

  @Test
  void allocation_isNotPermittedWhileCapturing() {
    try (var _ = new Gpu()) {
      var stream = stream();
      Gpu.check(cuStreamBeginCapture(stream, 0));
      assertEquals(900, cuMemAlloc(new CUdeviceptr(), 4));
      assertEquals(901, cuStreamEndCapture(stream, new CUgraph()));
    }
  }

  @Test
  void twoDevices_doNotShareMemory() {
    try (var gpu = new Gpu("DEVICES", "2")) {
      CUdeviceptr a = gpu.upload(1f);
      var second = new CUdevice();
      Gpu.check(cuDeviceGet(second, 1));
      var context = new CUcontext();
      Gpu.check(cuCtxCreate(context, 0, second));
      try {
        CUdeviceptr b = gpu.upload(2f);
        CUfunction add = gpu.function(ptx, "vectorAdd");
        gpu.run(add, Gpu.Shape.of(1, 32), b, b, b, 1);
        assertEquals(4f, gpu.floats(b, 1)[0]);
        var fault =
            assertThrows(Gpu.Fault.class, () -> gpu.run(add, Gpu.Shape.of(1, 32), a, b, b, 1));
        assertTrue(
            String.valueOf(fault.getMessage()).contains("memory of device 0, used by device 1"));
      } finally {
        int _ = cuCtxDestroy(context);
      }
    }
  }

  @Test
  void countMode_recordsWithoutExecuting(@TempDir Path folder) throws IOException {
    Path log = folder.resolve("log");
    try (var gpu = new Gpu("COUNT", "1", "MEMORY", "64g", "LOG", log.toString())) {
      CUdeviceptr a = gpu.allocate(40L << 30); // more than this machine need have
      CUfunction add = gpu.function(ptx, "vectorAdd");
      gpu.launch(add, Gpu.Shape.of(3, 128), null, a, a, a, 300);
      assertArrayEquals(new float[] {0, 0}, gpu.floats(a, 2));
      Gpu.check(cuCtxSynchronize());
    }
    List<String> lines = Files.readAllLines(log);
    assertTrue(
        lines.contains(
            "{\"op\":\"launch\",\"kernel\":\"vectorAdd\",\"grid\":[3,1,1],\"block\":[128,1,1],"
                + "\"shared\":0,\"stream\":0,\"captured\":false}"),
        lines.toString());
    assertTrue(
        lines.contains(
            "{\"op\":\"copy\",\"kind\":\"DtoH\",\"bytes\":8,\"stream\":0,\"synchronous\":true}"),
        lines.toString());
    assertTrue(lines.contains("{\"op\":\"synchronize\",\"what\":\"context\"}"), lines.toString());
  }

  private static CUstream stream() {
    var stream = new CUstream();
    Gpu.check(cuStreamCreate(stream, NON_BLOCKING));
    return stream;
  }
}
