package fornax.opencl;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.nio.charset.StandardCharsets.UTF_8;

import fornax.backend.DeviceException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.lwjgl.opencl.CL10;

/// Compiles kernels at their first use, from `src/main/opencl` or from the cache on disk.
final class Programs {
  private static final String COMMON = "common.clh";

  /// Nothing here may loosen arithmetic: infinities and NaN count, and sums keep their order.
  private static final String OPTIONS = "-cl-std=CL1.2";

  private static final Map<String, String> SOURCES = new HashMap<>();

  private final OpenClDevice device;
  private final long context;
  private final @Nullable ProgramCache cache;
  private final String options;
  private int built;
  private int loaded;

  Programs(OpenClDevice device, long context, @Nullable ProgramCache cache) {
    this.device = device;
    this.context = context;
    this.cache = cache;
    this.options =
        OPTIONS + (device.roundsDivision() ? " -cl-fp32-correctly-rounded-divide-sqrt" : "");
  }

  /// How many programs were compiled from source.
  int built() {
    return built;
  }

  /// How many programs came from the cache.
  int loaded() {
    return loaded;
  }

  /// The kernel object of `spec`, with elements counted in 64 bits if `wide`.
  Kernel compile(Kernel.Spec spec, boolean wide) {
    String source =
        source(COMMON) + "\n#line 1 \"" + spec.file() + ".cl\"\n" + source(spec.file() + ".cl");
    String all =
        options
            + " -D KERNEL_"
            + spec.name()
            + " -D INDEX="
            + (wide ? "long" : "int")
            + " "
            + spec.options();
    long program = program(spec, source, all);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment code = arena.allocate(JAVA_INT);
      long kernel =
          CL10.nclCreateKernel(program, arena.allocateFrom(spec.name()).address(), code.address());
      OpenClCheck.check(code.get(JAVA_INT, 0), "clCreateKernel " + spec, device.name());
      return new Kernel(spec, kernel, wide);
    } finally {
      CL10.clReleaseProgram(program); // the kernel keeps it
    }
  }

  private long program(Kernel.Spec spec, String source, String all) {
    if (cache == null) {
      built++;
      return build(spec, source, all);
    }
    String key = ProgramCache.key(source, all, device.version());
    byte[] binary = cache.read(key);
    if (binary != null) {
      long program = fromBinary(binary, all);
      if (program != 0) {
        loaded++;
        return program;
      }
    }
    built++;
    long program = build(spec, source, all);
    byte[] fresh = binary(program);
    if (fresh != null) {
      cache.write(key, fresh);
    }
    return program;
  }

  private long build(Kernel.Spec spec, String source, String all) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment text = arena.allocateFrom(source);
      MemorySegment pointer = arena.allocate(JAVA_LONG);
      pointer.set(JAVA_LONG, 0, text.address());
      MemorySegment code = arena.allocate(JAVA_INT);
      long program =
          CL10.nclCreateProgramWithSource(context, 1, pointer.address(), 0, code.address());
      OpenClCheck.check(code.get(JAVA_INT, 0), "clCreateProgramWithSource " + spec, device.name());
      int result = build(arena, program, all);
      if (result != OpenClCheck.SUCCESS) {
        String log = log(arena, program);
        CL10.clReleaseProgram(program);
        throw new DeviceException(
            "kernel "
                + spec.name()
                + ": "
                + spec.file()
                + ".cl does not compile on "
                + device.name()
                + "; got "
                + OpenClCheck.name(result)
                + " with "
                + all
                + "; the compiler says:\n"
                + log);
      }
      return program;
    }
  }

  // 0 where the driver does not take it.
  private long fromBinary(byte[] binary, String all) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocateFrom(JAVA_BYTE, binary);
      MemorySegment devices = arena.allocateFrom(JAVA_LONG, device.handle());
      MemorySegment lengths = arena.allocateFrom(JAVA_LONG, binary.length);
      MemorySegment pointers = arena.allocateFrom(JAVA_LONG, bytes.address());
      MemorySegment status = arena.allocate(JAVA_INT);
      MemorySegment code = arena.allocate(JAVA_INT);
      long program =
          CL10.nclCreateProgramWithBinary(
              context,
              1,
              devices.address(),
              lengths.address(),
              pointers.address(),
              status.address(),
              code.address());
      if (code.get(JAVA_INT, 0) != OpenClCheck.SUCCESS || program == 0) {
        return 0;
      }
      if (status.get(JAVA_INT, 0) != OpenClCheck.SUCCESS
          || build(arena, program, all) != OpenClCheck.SUCCESS) {
        CL10.clReleaseProgram(program);
        return 0;
      }
      return program;
    }
  }

  private int build(Arena arena, long program, String all) {
    MemorySegment devices = arena.allocateFrom(JAVA_LONG, device.handle());
    return CL10.nclBuildProgram(
        program, 1, devices.address(), arena.allocateFrom(all).address(), 0, 0);
  }

  private String log(Arena arena, long program) {
    MemorySegment size = arena.allocate(JAVA_LONG);
    if (CL10.nclGetProgramBuildInfo(
            program, device.handle(), CL10.CL_PROGRAM_BUILD_LOG, 0, 0, size.address())
        != OpenClCheck.SUCCESS) {
      return "(no log)";
    }
    MemorySegment text = arena.allocate(Math.max(1, size.get(JAVA_LONG, 0)));
    if (CL10.nclGetProgramBuildInfo(
            program, device.handle(), CL10.CL_PROGRAM_BUILD_LOG, text.byteSize(), text.address(), 0)
        != OpenClCheck.SUCCESS) {
      return "(no log)";
    }
    return new String(text.toArray(JAVA_BYTE), UTF_8).replace("\0", "").strip();
  }

  // Null where the driver gives none.
  private static byte @Nullable [] binary(long program) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment size = arena.allocate(JAVA_LONG);
      if (CL10.nclGetProgramInfo(
                  program, CL10.CL_PROGRAM_BINARY_SIZES, JAVA_LONG.byteSize(), size.address(), 0)
              != OpenClCheck.SUCCESS
          || size.get(JAVA_LONG, 0) <= 0) {
        return null;
      }
      MemorySegment bytes = arena.allocate(size.get(JAVA_LONG, 0));
      MemorySegment pointers = arena.allocateFrom(JAVA_LONG, bytes.address());
      return CL10.nclGetProgramInfo(
                  program, CL10.CL_PROGRAM_BINARIES, JAVA_LONG.byteSize(), pointers.address(), 0)
              == OpenClCheck.SUCCESS
          ? bytes.toArray(JAVA_BYTE)
          : null;
    }
  }

  private static synchronized String source(String file) {
    return SOURCES.computeIfAbsent(file, Programs::read);
  }

  private static String read(String file) {
    try (InputStream in = Programs.class.getResourceAsStream("kernels/" + file)) {
      if (in == null) {
        throw new DeviceException(
            "kernel: no such file; got " + file + "; the fornax-opencl-backend jar is incomplete");
      }
      return new String(in.readAllBytes(), UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException("kernel: cannot read " + file, e);
    }
  }
}
