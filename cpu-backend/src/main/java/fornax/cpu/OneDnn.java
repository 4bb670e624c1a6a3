package fornax.cpu;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.NoSuchElementException;
import org.jspecify.annotations.Nullable;

/// oneDNN's C interface, as far as [OneDnnMatmul] needs it. Objects belong to an arena, which
/// destroys them.
///
/// Each thread that calls must have made its [#stream(Arena)] first: that also tells the library's
/// OpenMP to start no threads for it.
@SuppressWarnings("restricted") // foreign calls are its point
final class OneDnn {
  /// dnnl_data_type_t
  static final int BF16 = 2;

  /// dnnl_data_type_t
  static final int F32 = 3;

  /// DNNL_ARG_SRC and so on: what a matmul's arguments are called
  static final int SOURCE = 1;

  static final int WEIGHTS = 33;
  static final int BIAS = 41;
  static final int RESULT = 17;
  static final int SCRATCHPAD = 80;

  private static final int CPU = 1; // dnnl_engine_kind_t
  private static final int IN_ORDER = 1; // dnnl_stream_flags_t
  private static final int USER_SCRATCHPAD = 1; // dnnl_scratchpad_mode_t
  private static final int SCRATCHPAD_DESCRIPTOR = 136; // dnnl_query_t
  private static final int BF16_INSTRUCTIONS = 0xe7; // dnnl_cpu_isa_avx512_core_bf16
  private static final int AMX = 0xe00; // of dnnl_cpu_isa_avx512_core_amx
  private static final int MAX_AXES = 12;
  private static final int VERSION_INTS = 3; // of dnnl_version_t, at its start

  private static final Linker LINKER = Linker.nativeLinker();

  private final SymbolLookup library;
  private final MethodHandle setThreads;
  private final MethodHandle createStream;
  private final MethodHandle destroyStream;
  private final MethodHandle createDescriptor;
  private final MethodHandle destroyDescriptor;
  private final MethodHandle descriptorSize;
  private final MethodHandle createMemory;
  private final MethodHandle destroyMemory;
  private final MethodHandle setData;
  private final MethodHandle createAttributes;
  private final MethodHandle destroyAttributes;
  private final MethodHandle setScratchpadMode;
  private final MethodHandle createPostOps;
  private final MethodHandle destroyPostOps;
  private final MethodHandle appendSum;
  private final MethodHandle setPostOps;
  private final MethodHandle createMatmul;
  private final MethodHandle query;
  private final MethodHandle destroyPrimitiveDescriptor;
  private final MethodHandle createPrimitive;
  private final MethodHandle destroyPrimitive;
  private final MethodHandle execute;
  private final MemorySegment engine;

  /// The version and the instructions that it computes with, as `3.8.1, avx512_core_bf16`.
  final String description;

  private OneDnn(SymbolLookup library) throws OneDnnLibrary.UnavailableException {
    this.library = library;
    setThreads =
        LINKER.downcallHandle(
            library.findOrThrow("omp_set_num_threads"), FunctionDescriptor.ofVoid(JAVA_INT));
    createStream = function("dnnl_stream_create", ADDRESS, ADDRESS, JAVA_INT);
    destroyStream = function("dnnl_stream_destroy", ADDRESS);
    createDescriptor =
        function(
            "dnnl_memory_desc_create_with_strides", ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, ADDRESS);
    destroyDescriptor = function("dnnl_memory_desc_destroy", ADDRESS);
    descriptorSize =
        LINKER.downcallHandle(
            library.findOrThrow("dnnl_memory_desc_get_size"),
            FunctionDescriptor.of(JAVA_LONG, ADDRESS));
    createMemory = function("dnnl_memory_create", ADDRESS, ADDRESS, ADDRESS, ADDRESS);
    destroyMemory = function("dnnl_memory_destroy", ADDRESS);
    setData = function("dnnl_memory_set_data_handle", ADDRESS, ADDRESS);
    createAttributes = function("dnnl_primitive_attr_create", ADDRESS);
    destroyAttributes = function("dnnl_primitive_attr_destroy", ADDRESS);
    setScratchpadMode = function("dnnl_primitive_attr_set_scratchpad_mode", ADDRESS, JAVA_INT);
    createPostOps = function("dnnl_post_ops_create", ADDRESS);
    destroyPostOps = function("dnnl_post_ops_destroy", ADDRESS);
    appendSum = function("dnnl_post_ops_append_sum", ADDRESS, JAVA_FLOAT, JAVA_INT, JAVA_INT);
    setPostOps = function("dnnl_primitive_attr_set_post_ops", ADDRESS, ADDRESS);
    createMatmul =
        function(
            "dnnl_matmul_primitive_desc_create",
            ADDRESS,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            ADDRESS);
    query =
        LINKER.downcallHandle(
            library.findOrThrow("dnnl_primitive_desc_query_md"),
            FunctionDescriptor.of(ADDRESS, ADDRESS, JAVA_INT, JAVA_INT));
    destroyPrimitiveDescriptor = function("dnnl_primitive_desc_destroy", ADDRESS);
    createPrimitive = function("dnnl_primitive_create", ADDRESS, ADDRESS);
    destroyPrimitive = function("dnnl_primitive_destroy", ADDRESS);
    execute = function("dnnl_primitive_execute", ADDRESS, ADDRESS, JAVA_INT, ADDRESS);
    description = version() + ", " + instructions();
    engine = engine();
  }

  /// Loads the library and makes sure that it computes BF16 products in hardware.
  static OneDnn load() throws OneDnnLibrary.UnavailableException {
    SymbolLookup library = OneDnnLibrary.open();
    try {
      return new OneDnn(library);
    } catch (NoSuchElementException e) {
      throw new OneDnnLibrary.UnavailableException("oneDNN is of another version: " + e);
    }
  }

  private MethodHandle function(String name, MemoryLayout... arguments) {
    return LINKER.downcallHandle(
        library.findOrThrow(name), FunctionDescriptor.of(JAVA_INT, arguments));
  }

  private String version() {
    MethodHandle version =
        LINKER.downcallHandle(library.findOrThrow("dnnl_version"), FunctionDescriptor.of(ADDRESS));
    try {
      MemorySegment numbers =
          ((MemorySegment) version.invokeExact()).reinterpret(4L * VERSION_INTS);
      return numbers.getAtIndex(JAVA_INT, 0)
          + "."
          + numbers.getAtIndex(JAVA_INT, 1)
          + "."
          + numbers.getAtIndex(JAVA_INT, 2);
    } catch (Throwable e) {
      throw failed("dnnl_version", e);
    }
  }

  private String instructions() throws OneDnnLibrary.UnavailableException {
    int set;
    try {
      set = (int) function("dnnl_get_effective_cpu_isa").invokeExact();
    } catch (Throwable e) {
      throw failed("dnnl_get_effective_cpu_isa", e);
    }
    if ((set & BF16_INSTRUCTIONS) != BF16_INSTRUCTIONS) {
      throw new OneDnnLibrary.UnavailableException(
          "oneDNN finds no bf16 instructions (AVX512_BF16 or AMX) in this processor");
    }
    return (set & AMX) == AMX ? "AMX" : "AVX512_BF16";
  }

  private MemorySegment engine() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment result = arena.allocate(ADDRESS);
      check(
          "dnnl_engine_create",
          (int)
              function("dnnl_engine_create", ADDRESS, JAVA_INT, JAVA_LONG)
                  .invokeExact(result, CPU, 0L));
      return result.get(ADDRESS, 0);
    } catch (Throwable e) {
      throw failed("dnnl_engine_create", e);
    }
  }

  private static void check(String function, int status) {
    if (status != 0) {
      throw new IllegalStateException("oneDNN: " + function + " failed; got status " + status);
    }
  }

  private static RuntimeException failed(String function, Throwable e) {
    if (e instanceof Error error) {
      throw error;
    }
    return e instanceof RuntimeException known
        ? known
        : new IllegalStateException("oneDNN: " + function + " failed", e);
  }

  // Destroys `object` when the arena ends.
  private static MemorySegment owned(MemorySegment object, Arena arena, MethodHandle destroy) {
    return object.reinterpret(
        arena,
        segment -> {
          try {
            int _ = (int) destroy.invokeExact(segment);
          } catch (Throwable e) {
            throw failed("destroy", e);
          }
        });
  }

  /// A stream for the calling thread, in which OpenMP starts no others from now on.
  MemorySegment stream(Arena arena) {
    try {
      setThreads.invokeExact(1);
      MemorySegment result = arena.allocate(ADDRESS);
      check("dnnl_stream_create", (int) createStream.invokeExact(result, engine, IN_ORDER));
      return owned(result.get(ADDRESS, 0), arena, destroyStream);
    } catch (Throwable e) {
      throw failed("dnnl_stream_create", e);
    }
  }

  /// Describes a matrix; strides count elements.
  MemorySegment matrix(
      Arena arena, long rows, long columns, long rowStride, long columnStride, int type) {
    MemorySegment sizes = arena.allocate(JAVA_LONG, MAX_AXES);
    MemorySegment strides = arena.allocate(JAVA_LONG, MAX_AXES);
    sizes.setAtIndex(JAVA_LONG, 0, rows);
    sizes.setAtIndex(JAVA_LONG, 1, columns);
    strides.setAtIndex(JAVA_LONG, 0, rowStride);
    strides.setAtIndex(JAVA_LONG, 1, columnStride);
    MemorySegment result = arena.allocate(ADDRESS);
    try {
      check(
          "dnnl_memory_desc_create_with_strides",
          (int) createDescriptor.invokeExact(result, 2, sizes, type, strides));
    } catch (Throwable e) {
      throw failed("dnnl_memory_desc_create_with_strides", e);
    }
    return owned(result.get(ADDRESS, 0), arena, destroyDescriptor);
  }

  /// Describes `y = a·b + bias`, or `y = y + a·b + bias`, for a scratchpad of the caller's.
  MemorySegment matmul(
      Arena arena,
      MemorySegment a,
      MemorySegment b,
      @Nullable MemorySegment bias,
      MemorySegment y,
      boolean accumulate) {
    MemorySegment result = arena.allocate(ADDRESS);
    try {
      check("dnnl_primitive_attr_create", (int) createAttributes.invokeExact(result));
      MemorySegment attributes = owned(result.get(ADDRESS, 0), arena, destroyAttributes);
      check(
          "dnnl_primitive_attr_set_scratchpad_mode",
          (int) setScratchpadMode.invokeExact(attributes, USER_SCRATCHPAD));
      if (accumulate) {
        check("dnnl_post_ops_create", (int) createPostOps.invokeExact(result));
        MemorySegment operations = owned(result.get(ADDRESS, 0), arena, destroyPostOps);
        check("dnnl_post_ops_append_sum", (int) appendSum.invokeExact(operations, 1f, 0, 0));
        check(
            "dnnl_primitive_attr_set_post_ops",
            (int) setPostOps.invokeExact(attributes, operations));
      }
      MemorySegment biasOrNull = bias == null ? MemorySegment.NULL : bias;
      check(
          "dnnl_matmul_primitive_desc_create",
          (int) createMatmul.invokeExact(result, engine, a, b, biasOrNull, y, attributes));
    } catch (Throwable e) {
      throw failed("dnnl_matmul_primitive_desc_create", e);
    }
    return owned(result.get(ADDRESS, 0), arena, destroyPrimitiveDescriptor);
  }

  /// The scratchpad's descriptor, the primitive descriptor's own, and its size.
  MemorySegment scratchpad(MemorySegment primitiveDescriptor) {
    try {
      return (MemorySegment) query.invokeExact(primitiveDescriptor, SCRATCHPAD_DESCRIPTOR, 0);
    } catch (Throwable e) {
      throw failed("dnnl_primitive_desc_query_md", e);
    }
  }

  /// The bytes that a descriptor's contents take.
  long size(MemorySegment descriptor) {
    try {
      return (long) descriptorSize.invokeExact(descriptor);
    } catch (Throwable e) {
      throw failed("dnnl_memory_desc_get_size", e);
    }
  }

  MemorySegment primitive(Arena arena, MemorySegment primitiveDescriptor) {
    try {
      MemorySegment result = arena.allocate(ADDRESS);
      check(
          "dnnl_primitive_create", (int) createPrimitive.invokeExact(result, primitiveDescriptor));
      return owned(result.get(ADDRESS, 0), arena, destroyPrimitive);
    } catch (Throwable e) {
      throw failed("dnnl_primitive_create", e);
    }
  }

  /// What a primitive is given: contents that are set later, by [#setData].
  MemorySegment memory(Arena arena, MemorySegment descriptor) {
    try {
      MemorySegment result = arena.allocate(ADDRESS);
      check(
          "dnnl_memory_create",
          (int) createMemory.invokeExact(result, descriptor, engine, MemorySegment.NULL));
      return owned(result.get(ADDRESS, 0), arena, destroyMemory);
    } catch (Throwable e) {
      throw failed("dnnl_memory_create", e);
    }
  }

  void setData(MemorySegment memory, MemorySegment data) {
    try {
      check("dnnl_memory_set_data_handle", (int) setData.invokeExact(memory, data));
    } catch (Throwable e) {
      throw failed("dnnl_memory_set_data_handle", e);
    }
  }

  /// Runs a primitive in the calling thread.
  ///
  /// @param arguments pairs of a number and a memory, 16 bytes each
  void execute(MemorySegment primitive, MemorySegment stream, MemorySegment arguments) {
    int count = (int) (arguments.byteSize() / 16);
    try {
      check(
          "dnnl_primitive_execute", (int) execute.invokeExact(primitive, stream, count, arguments));
    } catch (Throwable e) {
      throw failed("dnnl_primitive_execute", e);
    }
  }
}
