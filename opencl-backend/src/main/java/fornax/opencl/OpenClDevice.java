package fornax.opencl;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.lwjgl.opencl.CL10;
import org.lwjgl.opencl.CL12;

/// A device as its driver describes it.
///
/// @param platform the platform's handle
/// @param handle the device's handle
/// @param name the device's name and its platform's
/// @param kind what sort of device it is
/// @param version identifies device and driver, down to the driver's version
/// @param units compute units
/// @param groupLimit the most work-items of a group
/// @param localBytes local memory of a group
/// @param globalBytes memory of the device
/// @param allocationBytes the most of one buffer
/// @param extensions what the driver offers beyond the standard
/// @param reason why the device cannot be used, or null where it can
record OpenClDevice(
    long platform,
    long handle,
    String name,
    Kind kind,
    String version,
    int units,
    int groupLimit,
    long localBytes,
    long globalBytes,
    long allocationBytes,
    Set<String> extensions,
    @Nullable String reason) {
  /// In the order in which devices are listed.
  enum Kind {
    GPU,
    ACCELERATOR,
    CPU
  }

  private static final Pattern VERSION = Pattern.compile("OpenCL (\\d{1,4})\\.(\\d{1,4})");
  private static final int LEAST_GROUP = 64; // kernels with barriers use groups of 64 and more
  private static final long LEAST_LOCAL_BYTES = 16 << 10; // the least for sorting and matmul tiles

  /// Whether arithmetic in F16 is there.
  boolean hasHalf() {
    return extensions.contains("cl_khr_fp16");
  }

  /// Whether arithmetic in F64 is there. No kernel needs it.
  boolean hasDouble() {
    return extensions.contains("cl_khr_fp64");
  }

  /// Whether there are subgroups. No kernel needs them.
  boolean hasSubgroups() {
    return extensions.contains("cl_khr_subgroups");
  }

  /// Whether division and square root can be asked to round as Java's do.
  boolean roundsDivision() {
    return (DeviceQuery.device(handle).wideNumber(CL10.CL_DEVICE_SINGLE_FP_CONFIG)
            & CL12.CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT)
        != 0;
  }

  /// What the driver says of the device, a line each.
  String report() {
    return String.format(
        Locale.ROOT,
        """
        %s: %s
          %d compute units, groups of at most %d work-items, %,d KiB of local memory
          %,d MiB of memory, one array at most %,d MiB
          fp16 %s, fp64 %s, subgroups %s (no kernel needs any of them)
        """,
        name,
        reason == null ? version : reason,
        units,
        groupLimit,
        localBytes >> 10,
        globalBytes >> 20,
        allocationBytes >> 20,
        hasHalf() ? "yes" : "no",
        hasDouble() ? "yes" : "no",
        hasSubgroups() ? "yes" : "no");
  }

  /// All devices of all platforms: those that can be used first, graphics processors before the
  /// rest.
  static List<OpenClDevice> all() {
    List<OpenClDevice> devices = new ArrayList<>();
    for (long platform : platforms()) {
      for (long device : devices(platform)) {
        devices.add(describe(DeviceQuery.platform(platform), DeviceQuery.device(device)));
      }
    }
    devices.sort(
        Comparator.comparing((OpenClDevice device) -> device.reason() != null)
            .thenComparing(OpenClDevice::kind));
    return devices;
  }

  private static long[] platforms() {
    return handles((count, to, found) -> CL10.nclGetPlatformIDs(count, to, found));
  }

  private static long[] devices(long platform) {
    return handles(
        (count, to, found) ->
            CL10.nclGetDeviceIDs(platform, CL10.CL_DEVICE_TYPE_ALL, count, to, found));
  }

  private interface Query {
    int ask(int count, long to, long found);
  }

  // None where the query fails, which is how drivers say that there is none.
  private static long[] handles(Query query) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment found = arena.allocate(ValueLayout.JAVA_INT);
      if (query.ask(0, 0, found.address()) != OpenClCheck.SUCCESS) {
        return new long[0];
      }
      int count = found.get(ValueLayout.JAVA_INT, 0);
      if (count == 0) {
        return new long[0];
      }
      MemorySegment handles = arena.allocate(ValueLayout.JAVA_LONG, count);
      if (query.ask(count, handles.address(), 0) != OpenClCheck.SUCCESS) {
        return new long[0];
      }
      return handles.toArray(ValueLayout.JAVA_LONG);
    }
  }

  static OpenClDevice describe(DeviceQuery platform, DeviceQuery device) {
    try {
      String platformName = platform.text(CL10.CL_PLATFORM_NAME);
      String name = device.text(CL10.CL_DEVICE_NAME);
      String version =
          String.join(
              "; ",
              name,
              device.text(CL10.CL_DEVICE_VENDOR),
              device.text(CL10.CL_DEVICE_VERSION),
              device.text(CL10.CL_DRIVER_VERSION),
              platformName,
              platform.text(CL10.CL_PLATFORM_VERSION));
      int groupLimit =
          (int) Math.min(1 << 20, device.wideNumber(CL10.CL_DEVICE_MAX_WORK_GROUP_SIZE));
      long localBytes = device.wideNumber(CL10.CL_DEVICE_LOCAL_MEM_SIZE);
      return new OpenClDevice(
          platform.handle(),
          device.handle(),
          name + " (" + platformName + ")",
          kind(device.wideNumber(CL10.CL_DEVICE_TYPE)),
          version,
          device.number(CL10.CL_DEVICE_MAX_COMPUTE_UNITS),
          groupLimit,
          localBytes,
          device.wideNumber(CL10.CL_DEVICE_GLOBAL_MEM_SIZE),
          device.wideNumber(CL10.CL_DEVICE_MAX_MEM_ALLOC_SIZE),
          Set.copyOf(List.of(device.text(CL10.CL_DEVICE_EXTENSIONS).split("\\s+"))),
          refusal(device, groupLimit, localBytes));
    } catch (RuntimeException e) {
      return new OpenClDevice(
          platform.handle(),
          device.handle(),
          "unknown",
          Kind.CPU,
          "",
          0,
          0,
          0,
          0,
          0,
          Set.of(),
          "its driver does not answer: " + e.getMessage());
    }
  }

  private static @Nullable String refusal(DeviceQuery device, int groupLimit, long localBytes) {
    if (device.number(CL10.CL_DEVICE_AVAILABLE) == 0) {
      return "its driver says that it is not available";
    }
    if (device.number(CL10.CL_DEVICE_COMPILER_AVAILABLE) == 0) {
      return "its driver has no compiler for OpenCL C";
    }
    if (device.number(CL10.CL_DEVICE_ENDIAN_LITTLE) == 0) {
      return "it is big-endian";
    }
    if (!atLeast12(device.text(CL10.CL_DEVICE_VERSION))) {
      return "it has " + device.text(CL10.CL_DEVICE_VERSION) + " and OpenCL 1.2 is needed";
    }
    if (device.text(CL10.CL_DEVICE_PROFILE).equals("EMBEDDED_PROFILE")) {
      return "it has the embedded profile only, whose arithmetic is too coarse";
    }
    if ((device.wideNumber(CL10.CL_DEVICE_SINGLE_FP_CONFIG) & CL10.CL_FP_INF_NAN) == 0) {
      return "it has no infinity and NaN";
    }
    if (groupLimit < LEAST_GROUP) {
      return "its groups have at most "
          + groupLimit
          + " work-items and "
          + LEAST_GROUP
          + " are needed";
    }
    if (localBytes < LEAST_LOCAL_BYTES) {
      return "it has "
          + localBytes
          + " bytes of local memory and "
          + LEAST_LOCAL_BYTES
          + " are needed";
    }
    return null;
  }

  // "OpenCL 1.2 CUDA", "OpenCL 3.0 PoCL ..."
  static boolean atLeast12(String version) {
    Matcher matcher = VERSION.matcher(version);
    if (!matcher.lookingAt()) {
      return false;
    }
    int major = Integer.parseInt(matcher.group(1));
    return major > 1 || major == 1 && Integer.parseInt(matcher.group(2)) >= 2;
  }

  private static Kind kind(long type) {
    if ((type & CL10.CL_DEVICE_TYPE_CPU) != 0) { // simulators claim to be everything
      return Kind.CPU;
    }
    if ((type & CL10.CL_DEVICE_TYPE_GPU) != 0) {
      return Kind.GPU;
    }
    return (type & (CL10.CL_DEVICE_TYPE_ACCELERATOR | CL12.CL_DEVICE_TYPE_CUSTOM)) != 0
        ? Kind.ACCELERATOR
        : Kind.CPU;
  }

  @Override
  public String toString() {
    return name.toLowerCase(Locale.ROOT).contains(kind.name().toLowerCase(Locale.ROOT))
        ? name
        : name + ", " + kind;
  }
}
