package fornax.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/// NVIDIA's run-time compiler, called through the foreign-function API, so that any major version
/// will do. It needs no driver and no card.
@SuppressWarnings("restricted") // foreign calls are its point
final class Nvrtc {
  private static final int SUCCESS = 0;

  private final MethodHandle version;
  private final MethodHandle supportedCount;
  private final MethodHandle supported;
  private final MethodHandle create;
  private final MethodHandle compile;
  private final MethodHandle destroy;
  private final MethodHandle logSize;
  private final MethodHandle log;
  private final MethodHandle ptxSize;
  private final MethodHandle ptx;
  private final MethodHandle cubinSize;
  private final MethodHandle cubin;

  /// @param symbols the library
  Nvrtc(SymbolLookup symbols) {
    version = function(symbols, "nvrtcVersion", ADDRESS, ADDRESS);
    supportedCount = function(symbols, "nvrtcGetNumSupportedArchs", ADDRESS);
    supported = function(symbols, "nvrtcGetSupportedArchs", ADDRESS);
    create =
        function(
            symbols, "nvrtcCreateProgram", ADDRESS, ADDRESS, ADDRESS, JAVA_INT, ADDRESS, ADDRESS);
    compile = function(symbols, "nvrtcCompileProgram", ADDRESS, JAVA_INT, ADDRESS);
    destroy = function(symbols, "nvrtcDestroyProgram", ADDRESS);
    logSize = function(symbols, "nvrtcGetProgramLogSize", ADDRESS, ADDRESS);
    log = function(symbols, "nvrtcGetProgramLog", ADDRESS, ADDRESS);
    ptxSize = function(symbols, "nvrtcGetPTXSize", ADDRESS, ADDRESS);
    ptx = function(symbols, "nvrtcGetPTX", ADDRESS, ADDRESS);
    cubinSize = function(symbols, "nvrtcGetCUBINSize", ADDRESS, ADDRESS);
    cubin = function(symbols, "nvrtcGetCUBIN", ADDRESS, ADDRESS);
  }

  private static MethodHandle function(
      SymbolLookup symbols, String name, MemoryLayout... arguments) {
    return Linker.nativeLinker()
        .downcallHandle(symbols.findOrThrow(name), FunctionDescriptor.of(JAVA_INT, arguments));
  }

  /// What a compilation gave.
  ///
  /// @param ok whether there is code
  /// @param code PTX text, or a cubin
  /// @param log the compiler's messages
  @SuppressWarnings("ArrayRecordComponent") // made, read and dropped
  record Result(boolean ok, byte[] code, String log) {}

  /// `12.9`.
  String version() {
    try (var arena = Arena.ofConfined()) {
      MemorySegment numbers = arena.allocate(JAVA_INT, 2);
      int _ = call(version, numbers, numbers.asSlice(4));
      return numbers.getAtIndex(JAVA_INT, 0) + "." + numbers.getAtIndex(JAVA_INT, 1);
    }
  }

  /// Whether this version makes code for the compute capability `capability`, such as 90.
  boolean knows(int capability) {
    try (var arena = Arena.ofConfined()) {
      MemorySegment count = arena.allocate(JAVA_INT);
      if (call(supportedCount, count) != SUCCESS) {
        return false;
      }
      MemorySegment list = arena.allocate(JAVA_INT, count.get(JAVA_INT, 0));
      int _ = call(supported, list);
      for (int i = 0; i < count.get(JAVA_INT, 0); i++) {
        if (list.getAtIndex(JAVA_INT, i) == capability) {
          return true;
        }
      }
      return false;
    }
  }

  /// Compiles one file.
  ///
  /// @param file its name, for messages
  /// @param headers what it may include, by name
  /// @param options `--gpu-architecture=sm_90` gives a cubin, `compute_90` gives PTX
  Result compile(String file, String source, Map<String, String> headers, List<String> options) {
    try (var arena = Arena.ofConfined()) {
      List<Map.Entry<String, String>> entries = List.copyOf(headers.entrySet());
      MemorySegment contents = strings(arena, entries.stream().map(Map.Entry::getValue).toList());
      MemorySegment names = strings(arena, entries.stream().map(Map.Entry::getKey).toList());
      MemorySegment handle = arena.allocate(ADDRESS);
      int code =
          call(
              create,
              handle,
              arena.allocateFrom(source),
              arena.allocateFrom(file),
              entries.size(),
              contents,
              names);
      if (code != SUCCESS) {
        return new Result(false, new byte[0], "nvrtcCreateProgram gave " + code);
      }
      MemorySegment program = handle.get(ADDRESS, 0);
      try {
        int status = call(compile, program, options.size(), strings(arena, options));
        String messages = new String(text(program, logSize, log), StandardCharsets.UTF_8);
        if (status != SUCCESS) {
          return new Result(false, new byte[0], messages);
        }
        boolean real =
            options.stream().anyMatch(option -> option.startsWith("--gpu-architecture=sm_"));
        byte[] bytes = real ? text(program, cubinSize, cubin) : text(program, ptxSize, ptx);
        return new Result(true, bytes, messages);
      } finally {
        int _ = call(destroy, handle);
      }
    }
  }

  // A cubin as it is; a text without the zero at its end.
  private byte[] text(MemorySegment program, MethodHandle size, MethodHandle get) {
    try (var arena = Arena.ofConfined()) {
      MemorySegment length = arena.allocate(JAVA_LONG);
      if (call(size, program, length) != SUCCESS) {
        return new byte[0];
      }
      MemorySegment bytes = arena.allocate(Math.max(1, length.get(JAVA_LONG, 0)));
      int _ = call(get, program, bytes);
      boolean isText = get != cubin && bytes.byteSize() > 0;
      return bytes
          .asSlice(0, bytes.byteSize() - (isText ? 1 : 0))
          .toArray(java.lang.foreign.ValueLayout.JAVA_BYTE);
    }
  }

  private static MemorySegment strings(Arena arena, List<String> texts) {
    MemorySegment array = arena.allocate(ADDRESS, Math.max(1, texts.size()));
    for (int i = 0; i < texts.size(); i++) {
      array.setAtIndex(ADDRESS, i, arena.allocateFrom(texts.get(i)));
    }
    return array;
  }

  private static int call(MethodHandle function, Object... arguments) {
    try {
      return (int) function.invokeWithArguments(arguments);
    } catch (Throwable e) {
      throw new LinkageError("nvrtc: the call failed", e);
    }
  }
}
