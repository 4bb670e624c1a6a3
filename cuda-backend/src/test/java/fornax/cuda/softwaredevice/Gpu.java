package fornax.cuda.softwaredevice;

import static jcuda.driver.JCudaDriver.cuCtxCreate;
import static jcuda.driver.JCudaDriver.cuCtxDestroy;
import static jcuda.driver.JCudaDriver.cuCtxSynchronize;
import static jcuda.driver.JCudaDriver.cuDeviceGet;
import static jcuda.driver.JCudaDriver.cuInit;
import static jcuda.driver.JCudaDriver.cuLaunchKernel;
import static jcuda.driver.JCudaDriver.cuMemAlloc;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoH;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoD;
import static jcuda.driver.JCudaDriver.cuModuleGetFunction;
import static jcuda.driver.JCudaDriver.cuModuleLoadData;

import java.nio.charset.StandardCharsets;
import jcuda.NativePointerObject;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUfunction;
import jcuda.driver.CUmodule;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import org.jspecify.annotations.Nullable;

/// A context of its own on the software device, with settings that end with it.
final class Gpu implements AutoCloseable {
  private final CUcontext context = new CUcontext();

  /// @param settings names and values in turn
  Gpu(String... settings) {
    SoftwareDevice.load();
    SoftwareDevice.reset();
    SoftwareDevice.set("QUIET", "1");
    for (int i = 0; i < settings.length; i += 2) {
      SoftwareDevice.set(settings[i], settings[i + 1]);
    }
    check(cuInit(0));
    var device = new CUdevice();
    check(cuDeviceGet(device, 0));
    check(cuCtxCreate(context, 0, device));
  }

  @Override
  public void close() {
    int _ = cuCtxDestroy(context);
    SoftwareDevice.reset();
  }

  /// A call that failed, with what the device says of it.
  static final class Fault extends RuntimeException {
    private static final long serialVersionUID = 1;

    final int code;

    Fault(int code) {
      super(CUresult.stringFor(code) + ": " + SoftwareDevice.message());
      this.code = code;
    }
  }

  static void check(int code) {
    if (code != CUresult.CUDA_SUCCESS) {
      throw new Fault(code);
    }
  }

  CUdeviceptr allocate(long bytes) {
    var address = new CUdeviceptr();
    check(cuMemAlloc(address, bytes));
    return address;
  }

  CUdeviceptr upload(float... values) {
    CUdeviceptr address = allocate(4L * values.length);
    check(cuMemcpyHtoD(address, Pointer.to(values), 4L * values.length));
    return address;
  }

  CUdeviceptr upload(int... values) {
    CUdeviceptr address = allocate(4L * values.length);
    check(cuMemcpyHtoD(address, Pointer.to(values), 4L * values.length));
    return address;
  }

  CUdeviceptr upload(long... values) {
    CUdeviceptr address = allocate(8L * values.length);
    check(cuMemcpyHtoD(address, Pointer.to(values), 8L * values.length));
    return address;
  }

  CUdeviceptr upload(short... values) {
    CUdeviceptr address = allocate(2L * values.length);
    check(cuMemcpyHtoD(address, Pointer.to(values), 2L * values.length));
    return address;
  }

  float[] floats(CUdeviceptr address, int count) {
    var values = new float[count];
    check(cuMemcpyDtoH(Pointer.to(values), address, 4L * count));
    return values;
  }

  int[] ints(CUdeviceptr address, int count) {
    var values = new int[count];
    check(cuMemcpyDtoH(Pointer.to(values), address, 4L * count));
    return values;
  }

  long[] longs(CUdeviceptr address, int count) {
    var values = new long[count];
    check(cuMemcpyDtoH(Pointer.to(values), address, 8L * count));
    return values;
  }

  CUmodule module(String ptx) {
    var module = new CUmodule();
    check(cuModuleLoadData(module, (ptx + "\0").getBytes(StandardCharsets.UTF_8)));
    return module;
  }

  CUfunction function(String ptx, String name) {
    return function(module(ptx), name);
  }

  CUfunction function(CUmodule module, String name) {
    var function = new CUfunction();
    check(cuModuleGetFunction(function, module, name));
    return function;
  }

  /// Grid, block and shared memory of a launch.
  record Shape(int gridX, int gridY, int blockX, int blockY, int shared) {
    static Shape of(int grid, int block) {
      return new Shape(grid, 1, block, 1, 0);
    }
  }

  /// Queues a kernel; arguments are device pointers, ints and floats.
  void launch(CUfunction function, Shape shape, @Nullable CUstream stream, Object... arguments) {
    var pointers = new NativePointerObject[arguments.length];
    for (int i = 0; i < arguments.length; i++) {
      pointers[i] =
          switch (arguments[i]) {
            case Integer n -> Pointer.to(new int[] {n});
            case Float x -> Pointer.to(new float[] {x});
            case CUdeviceptr p -> Pointer.to(p);
            default -> throw new IllegalArgumentException("argument " + i);
          };
    }
    check(
        cuLaunchKernel(
            function,
            shape.gridX,
            shape.gridY,
            1,
            shape.blockX,
            shape.blockY,
            1,
            shape.shared,
            stream,
            Pointer.to(pointers),
            null));
  }

  /// Runs a kernel and waits for it.
  void run(CUfunction function, Shape shape, Object... arguments) {
    launch(function, shape, null, arguments);
    check(cuCtxSynchronize());
  }
}
