package fornax.opencl;

import fornax.backend.DeviceException;
import java.util.Map;

/// Turns OpenCL's error codes into exceptions.
final class OpenClCheck {
  static final int SUCCESS = 0;
  static final int MEM_OBJECT_ALLOCATION_FAILURE = -4; // <CL/cl.h>, as all that follow
  static final int OUT_OF_RESOURCES = -5;
  static final int OUT_OF_HOST_MEMORY = -6;

  private static final Map<Integer, String> NAMES =
      Map.ofEntries(
          Map.entry(-1, "CL_DEVICE_NOT_FOUND"),
          Map.entry(-2, "CL_DEVICE_NOT_AVAILABLE"),
          Map.entry(-3, "CL_COMPILER_NOT_AVAILABLE"),
          Map.entry(MEM_OBJECT_ALLOCATION_FAILURE, "CL_MEM_OBJECT_ALLOCATION_FAILURE"),
          Map.entry(OUT_OF_RESOURCES, "CL_OUT_OF_RESOURCES"),
          Map.entry(OUT_OF_HOST_MEMORY, "CL_OUT_OF_HOST_MEMORY"),
          Map.entry(-7, "CL_PROFILING_INFO_NOT_AVAILABLE"),
          Map.entry(-8, "CL_MEM_COPY_OVERLAP"),
          Map.entry(-11, "CL_BUILD_PROGRAM_FAILURE"),
          Map.entry(-12, "CL_MAP_FAILURE"),
          Map.entry(-13, "CL_MISALIGNED_SUB_BUFFER_OFFSET"),
          Map.entry(-14, "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST"),
          Map.entry(-15, "CL_COMPILE_PROGRAM_FAILURE"),
          Map.entry(-16, "CL_LINKER_NOT_AVAILABLE"),
          Map.entry(-17, "CL_LINK_PROGRAM_FAILURE"),
          Map.entry(-30, "CL_INVALID_VALUE"),
          Map.entry(-31, "CL_INVALID_DEVICE_TYPE"),
          Map.entry(-32, "CL_INVALID_PLATFORM"),
          Map.entry(-33, "CL_INVALID_DEVICE"),
          Map.entry(-34, "CL_INVALID_CONTEXT"),
          Map.entry(-35, "CL_INVALID_QUEUE_PROPERTIES"),
          Map.entry(-36, "CL_INVALID_COMMAND_QUEUE"),
          Map.entry(-38, "CL_INVALID_MEM_OBJECT"),
          Map.entry(-42, "CL_INVALID_BINARY"),
          Map.entry(-43, "CL_INVALID_BUILD_OPTIONS"),
          Map.entry(-44, "CL_INVALID_PROGRAM"),
          Map.entry(-45, "CL_INVALID_PROGRAM_EXECUTABLE"),
          Map.entry(-46, "CL_INVALID_KERNEL_NAME"),
          Map.entry(-47, "CL_INVALID_KERNEL_DEFINITION"),
          Map.entry(-48, "CL_INVALID_KERNEL"),
          Map.entry(-49, "CL_INVALID_ARG_INDEX"),
          Map.entry(-50, "CL_INVALID_ARG_VALUE"),
          Map.entry(-51, "CL_INVALID_ARG_SIZE"),
          Map.entry(-52, "CL_INVALID_KERNEL_ARGS"),
          Map.entry(-53, "CL_INVALID_WORK_DIMENSION"),
          Map.entry(-54, "CL_INVALID_WORK_GROUP_SIZE"),
          Map.entry(-55, "CL_INVALID_WORK_ITEM_SIZE"),
          Map.entry(-56, "CL_INVALID_GLOBAL_OFFSET"),
          Map.entry(-57, "CL_INVALID_EVENT_WAIT_LIST"),
          Map.entry(-58, "CL_INVALID_EVENT"),
          Map.entry(-59, "CL_INVALID_OPERATION"),
          Map.entry(-61, "CL_INVALID_BUFFER_SIZE"),
          Map.entry(-63, "CL_INVALID_GLOBAL_WORK_SIZE"),
          Map.entry(-64, "CL_INVALID_PROPERTY"),
          Map.entry(-66, "CL_INVALID_COMPILER_OPTIONS"),
          Map.entry(-67, "CL_INVALID_LINKER_OPTIONS"),
          Map.entry(-1001, "CL_PLATFORM_NOT_FOUND_KHR"),
          // What NVIDIA's driver gives for an access outside a buffer.
          Map.entry(-9999, "NVIDIA: illegal read or write to a buffer"));

  private OpenClCheck() {}

  /// The constant's name, with its number.
  static String name(int code) {
    return NAMES.getOrDefault(code, "unknown code") + " (" + code + ")";
  }

  /// Whether the device or the host had no memory left.
  static boolean isOutOfMemory(int code) {
    return code == MEM_OBJECT_ALLOCATION_FAILURE
        || code == OUT_OF_RESOURCES
        || code == OUT_OF_HOST_MEMORY;
  }

  /// @throws DeviceException unless `code` is success
  static void check(int code, String call, String device) {
    if (code != SUCCESS) {
      throw new DeviceException(
          call + ": failed on " + device + "; got " + name(code) + "; " + hint(code));
    }
  }

  /// What to do about `code`.
  static String hint(int code) {
    if (isOutOfMemory(code)) {
      return "the device has no memory or other resource left; need a smaller batch or context, or"
          + " other programs off the device";
    }
    return switch (code) {
      case -2, -33, -34, -36, -14, -9999 ->
          "the device was lost or a kernel failed; open it anew, and look at the driver's log if it"
              + " happens again";
      case -3 -> "need a driver with a compiler for OpenCL C";
      default -> "this is a defect of Fornax or of the driver";
    };
  }
}
