package fornax.cuda;

import fornax.backend.DeviceException;
import jcuda.Pointer;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdevice_attribute;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/// The driver's functions that need no device, and the check of every status. Loading this class
/// loads JCuda's natives: only where the driver has been found.
final class CudaDriver {
  /// Where the driver lies and what it answered: 0 if it is ready.
  static final int STATUS;

  static {
    JcudaNatives.with("JCudaDriver", () -> JCudaDriver.setExceptionsEnabled(false));
    STATUS = JCudaDriver.cuInit(0);
  }

  private CudaDriver() {}

  /// Throws if `status` is an error.
  ///
  /// @param op what was being done
  /// @throws DeviceException with the symbolic code
  /// @throws OutOfMemoryError if the device has no more memory
  static void check(int status, String op) {
    if (status != CUresult.CUDA_SUCCESS) {
      if (status == CUresult.CUDA_ERROR_OUT_OF_MEMORY) {
        throw new OutOfMemoryError(op + ": CUDA_ERROR_OUT_OF_MEMORY");
      }
      throw new DeviceException(op + ": the CUDA driver failed; got " + describe(status));
    }
  }

  /// `CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered)`.
  static String describe(int status) {
    String[] text = new String[1];
    boolean known = JCudaDriver.cuGetErrorString(status, text) == CUresult.CUDA_SUCCESS;
    return CUresult.stringFor(status) + (known && text[0] != null ? " (" + text[0] + ")" : "");
  }

  /// As `cuDriverGetVersion` gives it: 12090 is 12.9.
  static int version() {
    int[] version = new int[1];
    check(JCudaDriver.cuDriverGetVersion(version), "cuDriverGetVersion");
    return version[0];
  }

  /// The number of cards.
  static int devices() {
    int[] count = new int[1];
    int status = JCudaDriver.cuDeviceGetCount(count);
    if (status == CUresult.CUDA_ERROR_NO_DEVICE) {
      return 0;
    }
    check(status, "cuDeviceGetCount");
    return count[0];
  }

  static CUdevice device(int index) {
    CUdevice device = new CUdevice();
    check(JCudaDriver.cuDeviceGet(device, index), "cuDeviceGet");
    return device;
  }

  static String name(CUdevice device) {
    byte[] name = new byte[256];
    check(JCudaDriver.cuDeviceGetName(name, name.length, device), "cuDeviceGetName");
    int end = 0;
    while (end < name.length && name[end] != 0) {
      end++;
    }
    return new String(name, 0, end, java.nio.charset.StandardCharsets.UTF_8);
  }

  /// Such as 90 for 9.0.
  static int capability(CUdevice device) {
    return attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) * 10
        + attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  }

  private static int attribute(CUdevice device, int attribute) {
    int[] value = new int[1];
    check(JCudaDriver.cuDeviceGetAttribute(value, attribute, device), "cuDeviceGetAttribute");
    return value[0];
  }

  /// A device pointer whose address can be read.
  static final class DevicePointer extends CUdeviceptr {
    long address() {
      return getNativePointer() + getByteOffset();
    }
  }

  /// A host pointer to any address.
  static final class HostPointer extends Pointer {
    HostPointer() {}

    HostPointer(long address) {
      super(address);
    }

    long address() {
      return getNativePointer() + getByteOffset();
    }
  }

  /// The device pointer with the address `address`.
  static CUdeviceptr pointer(long address) {
    return new CUdeviceptr().withByteOffset(address);
  }
}
