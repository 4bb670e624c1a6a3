package fornax.opencl;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.DeviceInfo;
import fornax.backend.NdArray;
import fornax.backend.Workspace;
import fornax.backend.reference.ReferenceBackend;
import fornax.conformance.CaseResult;
import fornax.conformance.OpCase;
import fornax.conformance.OpCases;
import fornax.conformance.SelfTest;
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
          "topK",
          "dropout");
  private static final long MOST_ELEMENTS = 700; // Oclgrind interprets

  private OclgrindProgram() {}

  public static void main(String[] arguments) {
    DeviceInfo info = new OpenClProvider().devices().getFirst();
    System.out.println("device: " + info.name());
    int run = 0;
    int failed = 0;
    try (Backend backend = new OpenClProvider().open(0);
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
