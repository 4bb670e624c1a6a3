package fornax.opencl;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.DeviceException;
import fornax.backend.Memory;
import fornax.backend.NdArray;
import fornax.backend.Workspace;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.NoSuchElementException;
import org.jspecify.annotations.Nullable;
import org.lwjgl.opencl.CL10;
import org.lwjgl.opencl.CL11;

/// CLBlast's single-precision matrix product, called through its C interface where the system has
/// the library (1.5 or newer). Its temporary memory comes from the device's pool.
@SuppressWarnings("restricted") // foreign calls are its point
final class ClBlast {
  /// What to install.
  static final String FIX = "apt install libclblast1";

  private static final List<String> NAMES =
      List.of("libclblast.so.1", "libclblast.so", "libclblast.dylib", "clblast.dll");

  private static final int ROW_MAJOR = 101; // <clblast_c.h>, as the two that follow
  private static final int AS_IT_IS = 111;
  private static final int TRANSPOSED = 112;

  private static final long ALIGNMENT = 4096; // of buffers inside buffers: past any device's need

  private final String name;
  private final MethodHandle multiply;
  private final MethodHandle temporaryBytes;
  private final MethodHandle clearCache;

  private ClBlast(String name, SymbolLookup symbols) {
    this.name = name;
    multiply =
        function(
            symbols,
            "CLBlastSgemmWithTempBuffer",
            JAVA_INT, // layout
            JAVA_INT, // transpositions
            JAVA_INT,
            JAVA_LONG, // m, n, k
            JAVA_LONG,
            JAVA_LONG,
            JAVA_FLOAT, // alpha
            JAVA_LONG, // a: buffer, offset, distance of rows
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG, // b
            JAVA_LONG,
            JAVA_LONG,
            JAVA_FLOAT, // beta
            JAVA_LONG, // y
            JAVA_LONG,
            JAVA_LONG,
            ADDRESS, // queue
            ADDRESS, // event
            JAVA_LONG); // temporary buffer
    temporaryBytes =
        function(
            symbols,
            "CLBlastSGemmTempBufferSize",
            JAVA_INT, // layout
            JAVA_INT, // transpositions
            JAVA_INT,
            JAVA_LONG, // m, n, k
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG, // a: offset, distance of rows
            JAVA_LONG,
            JAVA_LONG, // b
            JAVA_LONG,
            JAVA_LONG, // y
            JAVA_LONG,
            ADDRESS, // queue
            ADDRESS); // bytes
    clearCache = function(symbols, "CLBlastClearCache");
  }

  private static MethodHandle function(
      SymbolLookup symbols, String name, MemoryLayout... arguments) {
    return Linker.nativeLinker()
        .downcallHandle(symbols.findOrThrow(name), FunctionDescriptor.of(JAVA_INT, arguments));
  }

  /// The system's library, or null where there is none.
  static @Nullable ClBlast find() {
    return Library.FOUND;
  }

  /// Looks for the library at the first use: it brings OpenCL's loader with it.
  private static final class Library {
    static final @Nullable ClBlast FOUND = load();

    private static @Nullable ClBlast load() {
      for (String name : NAMES) {
        try {
          return new ClBlast(name, SymbolLookup.libraryLookup(name, Arena.global()));
        } catch (IllegalArgumentException | NoSuchElementException _) {
          // not there, or too old to take temporary memory
        }
      }
      return null;
    }
  }

  /// The library's file.
  String name() {
    return name;
  }

  /// How a matrix lies in memory.
  ///
  /// @param transposed whether its columns, not its rows, are side by side
  /// @param distance from one of them to the next, in elements
  private record Form(boolean transposed, long distance) {
    static @Nullable Form of(NdArray x) {
      long rows = x.dim(-2);
      long columns = x.dim(-1);
      long row = rows == 1 ? columns : x.layout().stride(-2);
      long column = columns == 1 ? rows : x.layout().stride(-1);
      if ((columns == 1 || column == 1) && row >= columns) {
        return new Form(false, row);
      }
      return (rows == 1 || row == 1) && column >= rows ? new Form(true, column) : null;
    }

    int transposition() {
      return transposed ? TRANSPOSED : AS_IT_IS;
    }
  }

  /// Whether CLBlast can make `y = a·b`: F32, rows or columns side by side, and nothing further
  /// than 32-bit numbers reach.
  static boolean takes(NdArray a, NdArray b, NdArray y) {
    Form form = Form.of(y);
    return y.elements() > 0
        && a.dim(-1) > 0
        && isNear(a)
        && isNear(b)
        && isNear(y)
        && form != null
        && !form.transposed()
        && Form.of(a) != null
        && Form.of(b) != null;
  }

  private static boolean isNear(NdArray x) {
    long reach = x.layout().offset();
    for (int axis = 0; axis < x.rank(); axis++) {
      reach += Math.abs(x.layout().stride(axis)) * x.dim(axis);
    }
    return x.dtype() == DType.F32 && reach < Integer.MAX_VALUE / 2;
  }

  /// Makes `y = a·b`, or `y += a·b`, of the matrices that lie `from` elements into each array.
  ///
  /// @param from of a, b and y
  void matmul(
      OpenClQueue queue,
      Memory memory,
      String op,
      NdArray a,
      NdArray b,
      NdArray y,
      long[] from,
      boolean accumulate) {
    Form formA = form(a);
    Form formB = form(b);
    Form formY = form(y);
    long atA = OpenClBlock.byteOffset(a) / Float.BYTES + from[0];
    long atB = OpenClBlock.byteOffset(b) / Float.BYTES + from[1];
    long atY = OpenClBlock.byteOffset(y) / Float.BYTES + from[2];
    long m = y.dim(-2);
    long n = y.dim(-1);
    long k = a.dim(-1);
    queue.call(
        op,
        "CLBlast:Sgemm",
        (commands, event) -> {
          try (var arena = Arena.ofConfined();
              var work = new Workspace(memory)) {
            MemorySegment bytes = arena.allocate(JAVA_LONG);
            check(
                op,
                (int)
                    temporaryBytes.invokeExact(
                        ROW_MAJOR,
                        formA.transposition(),
                        formB.transposition(),
                        m,
                        n,
                        k,
                        atA,
                        formA.distance(),
                        atB,
                        formB.distance(),
                        atY,
                        formY.distance(),
                        commands,
                        bytes));
            long temporary = temporary(work, bytes.get(JAVA_LONG, 0));
            try {
              check(
                  op,
                  (int)
                      multiply.invokeExact(
                          ROW_MAJOR,
                          formA.transposition(),
                          formB.transposition(),
                          m,
                          n,
                          k,
                          1f,
                          OpenClBlock.handle(a),
                          atA,
                          formA.distance(),
                          OpenClBlock.handle(b),
                          atB,
                          formB.distance(),
                          accumulate ? 1f : 0f,
                          OpenClBlock.handle(y),
                          atY,
                          formY.distance(),
                          commands,
                          event,
                          temporary));
            } finally {
              if (temporary != 0) {
                CL10.clReleaseMemObject(temporary); // commands under way keep it
              }
            }
          } catch (RuntimeException | Error e) {
            throw e;
          } catch (Throwable e) {
            throw new LinkageError(op + ": CLBlast cannot be called", e);
          }
        });
  }

  private static Form form(NdArray x) {
    Form form = Form.of(x);
    if (form == null) {
      throw new IllegalArgumentException("matmul: CLBlast does not take " + x.layout());
    }
    return form;
  }

  // A buffer object of its own, inside pooled memory, which need not begin where its block does.
  private static long temporary(Workspace work, long bytes) {
    if (bytes == 0) {
      return 0;
    }
    NdArray pooled = work.allocate(DType.BOOL, Shape.of(bytes + ALIGNMENT));
    long start = Grid.ceilDiv(OpenClBlock.byteOffset(pooled), ALIGNMENT) * ALIGNMENT;
    try (var arena = Arena.ofConfined()) {
      MemorySegment region = arena.allocateFrom(JAVA_LONG, start, bytes); // cl_buffer_region
      MemorySegment code = arena.allocate(JAVA_INT);
      long handle =
          CL11.nclCreateSubBuffer(
              OpenClBlock.handle(pooled),
              CL10.CL_MEM_READ_WRITE,
              CL11.CL_BUFFER_CREATE_TYPE_REGION,
              region.address(),
              code.address());
      OpenClCheck.check(code.get(JAVA_INT, 0), "clCreateSubBuffer", "CLBlast's temporary memory");
      return handle;
    }
  }

  // Codes from -1023 up are OpenCL's; those below are CLBlast's own, in <clblast_c.h>.
  private static void check(String op, int code) {
    if (code != OpenClCheck.SUCCESS) {
      throw new DeviceException(
          op
              + ": CLBlast failed; got "
              + OpenClCheck.name(code)
              + "; "
              + OpenClCheck.hint(code)
              + "; -Dfornax.opencl.matmul=own does without it");
    }
  }

  /// Lets go of the programs that the library keeps, each of which holds its context.
  void clearCache() {
    try {
      check("close", (int) clearCache.invokeExact());
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new LinkageError("close: CLBlast cannot be called", e);
    }
  }
}
