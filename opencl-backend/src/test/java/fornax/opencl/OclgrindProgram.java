package fornax.opencl;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.DeviceInfo;
import fornax.backend.NdArray;
import fornax.backend.Unary;
import fornax.backend.Workspace;
import fornax.backend.reference.ReferenceBackend;
import fornax.conformance.CaseResult;
import fornax.conformance.OpCase;
import fornax.conformance.OpCases;
import fornax.conformance.SelfTest;
import java.lang.foreign.MemorySegment;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.Arrays;
import java.util.Set;

/// What [OclgrindTest] runs on Oclgrind's device: small inputs of every kernel that shares memory
/// or computes addresses.
final class OclgrindProgram {
  private static final Set<String> CASES =
      Set.of(
          "add",
          "sum",
          "argmax",
          "cumsum",
          "matmul",
          "linear.geluTanh",
          "softmax",
          "layerNorm",
          "attention",
          "attention.dropout",
          "crossEntropy",
          "embedding",
          "conv2d.strided",
          "maxPool2d.padded",
          "avgPool2d.uneven",
          "topK",
          "dropout");
  private static final long MOST_ELEMENTS = 700; // Oclgrind interprets

  private OclgrindProgram() {}

  /// `--unwritten`: does no more than read memory that nobody wrote, which must be found.
  public static void main(String[] arguments) {
    DeviceInfo info = new OpenClProvider().devices().getFirst();
    System.out.println("device: " + info.name());
    if (Arrays.asList(arguments).contains("--unwritten")) {
      readUnwritten();
    } else {
      runCases();
    }
  }

  private static void readUnwritten() {
    try (Backend backend = new OpenClProvider().open(0);
        var work = new Workspace(backend.memory())) {
      NdArray x = work.allocate(DType.F32, Shape.of(7));
      backend.unary(Unary.NEGATE, x, x);
      backend.synchronize();
    }
  }

  private static void runCases() {
    int run = 0;
    int failed = 0;
    try (Backend backend = uploadingWholeBlocks(new OpenClProvider().open(0));
        Backend reference = new ReferenceBackend()) {
      for (OpCase operation : OpCases.all()) {
        if (!CASES.contains(operation.name())) {
          continue;
        }
        int taken = 0;
        for (OpCase.Variant variant : operation.variants()) {
          if (taken < 3 && variant.elements() <= MOST_ELEMENTS) {
            taken++;
            for (CaseResult result : SelfTest.check(variant, DType.F32, reference, backend)) {
              run++;
              if (!result.passed()) {
                failed++;
                System.out.println(result);
              }
            }
          }
        }
      }
      sortOverSeveralTiles(backend);
      backend.synchronize();
    }
    System.out.println("ran " + run + ", failed " + failed);
  }

  // Oclgrind 21.10 takes what the host writes to a buffer for all of the buffer: of one that was
  // once shorter in use, it forgets for good that kernels write to the rest. So the host writes
  // all.
  private static Backend uploadingWholeBlocks(Backend backend) {
    InvocationHandler handler =
        (_, method, arguments) -> {
          if (method.getName().equals("upload")) {
            upload(backend, (MemorySegment) arguments[0], (NdArray) arguments[1]);
            return null;
          }
          try {
            return method.invoke(backend, arguments);
          } catch (InvocationTargetException e) {
            throw e.getCause();
          }
        };
    return (Backend)
        Proxy.newProxyInstance(
            Backend.class.getClassLoader(), new Class<?>[] {Backend.class}, handler);
  }

  private static void upload(Backend backend, MemorySegment source, NdArray y) {
    long bytes = y.buffer().block().bytes();
    MemorySegment whole = MemorySegment.ofArray(new byte[Math.toIntExact(bytes)]);
    MemorySegment.copy(source, 0, whole, OpenClBlock.byteOffset(y), y.bytes());
    ((OpenClBackend) backend).queue().upload(whole, OpenClBlock.handle(y), 0, bytes);
  }

  private static void sortOverSeveralTiles(Backend backend) {
    try (var work = new Workspace(backend.memory())) {
      NdArray x = work.allocate(DType.F32, Shape.of(1, 150));
      NdArray values = work.allocate(DType.F32, x.shape());
      NdArray indices = work.allocate(DType.I32, x.shape());
      backend.range(x, 0, 1);
      backend.sort(x, true, values, indices);
      backend.synchronize();
    }
  }
}
