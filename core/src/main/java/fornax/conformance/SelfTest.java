package fornax.conformance;

import fornax.array.DType;
import fornax.backend.Backend;
import fornax.backend.reference.ReferenceBackend;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Tests a device where it stands: every operation of the table against the reference backend in
/// F64, and PyTorch's golden numbers.
public final class SelfTest {
  private SelfTest() {}

  /// One result for each operation and type of [OpCases], then one for each golden case.
  ///
  /// @throws IOException if the golden numbers cannot be read
  public static List<CaseResult> run(Backend backend, Golden golden) throws IOException {
    List<CaseResult> results = new ArrayList<>(operations(backend));
    results.addAll(golden.operators(backend));
    results.addAll(golden.model(backend));
    return results;
  }

  /// One result for each operation and type of [OpCases]: the worst over its inputs, forward and
  /// gradients.
  public static List<CaseResult> operations(Backend backend) {
    List<CaseResult> results = new ArrayList<>();
    try (var reference = new ReferenceBackend()) {
      for (OpCase operation : OpCases.all()) {
        for (DType type : operation.types()) {
          results.add(worst(operation, type, backend, reference));
        }
      }
    }
    return results;
  }

  private static CaseResult worst(
      OpCase operation, DType type, Backend backend, Backend reference) {
    CaseResult worst = null;
    for (OpCase.Variant variant : operation.variants(type)) {
      CaseResult result = check(variant, type, reference, backend).getFirst();
      if (worst == null || share(result) > share(worst)) {
        worst = result;
      }
    }
    if (worst == null) {
      throw new IllegalStateException(operation + ": no inputs");
    }
    return worst;
  }

  // The error as a part of what is allowed.
  private static double share(CaseResult result) {
    return result.maxError() == 0 ? 0 : result.maxError() / result.tolerance();
  }

  /// Runs `variant` with tensors of type `type` on each of `backends`, and in F64 on `reference`
  /// from the same numbers.
  public static List<CaseResult> check(
      OpCase.Variant variant, DType type, Backend reference, Backend... backends) {
    OpCase.Outcome truth = variant.run(reference, DType.F64, type).narrowedTo(type);
    List<CaseResult> results = new ArrayList<>();
    for (Backend backend : backends) {
      results.add(check(variant, type, backend, truth));
    }
    return results;
  }

  private static CaseResult check(
      OpCase.Variant variant, DType type, Backend backend, OpCase.Outcome truth) {
    String op = variant.operation().name();
    double allowed = variant.tolerance(truth.dtype().isFloating() ? type : truth.dtype());
    OpCase.Outcome ours;
    try {
      ours = variant.run(backend, type, type);
    } catch (RuntimeException e) {
      return CaseResult.failed(op, type.name(), allowed, variant + ": " + e);
    }
    String wrong = mismatch(ours, truth);
    if (wrong != null) {
      return CaseResult.failed(op, type.name(), allowed, variant + ": " + wrong);
    }
    CaseResult worst = compare(variant, type, "result", ours.result(), truth.result(), allowed);
    for (int input = 0; input < truth.gradients().size(); input++) {
      double[] wanted = truth.gradients().get(input);
      double[] got = ours.gradients().get(input);
      if (wanted != null && got != null) {
        double allowedGradient = variant.gradientTolerance(type, truth, input);
        CaseResult one =
            compare(variant, type, "gradient of input " + input, got, wanted, allowedGradient);
        worst = share(one) > share(worst) ? one : worst;
      }
    }
    return worst;
  }

  /// Whether two runs of `variant` on `backend` give the same bits.
  public static boolean repeats(OpCase.Variant variant, DType type, Backend backend) {
    OpCase.Outcome first = variant.run(backend, type, type);
    OpCase.Outcome second = variant.run(backend, type, type);
    return Arrays.equals(first.result(), second.result())
        && Arrays.deepEquals(first.gradients().toArray(), second.gradients().toArray());
  }

  private static @Nullable String mismatch(OpCase.Outcome ours, OpCase.Outcome truth) {
    if (!ours.shape().equals(truth.shape())) {
      return "the result's shape is " + ours.shape() + ", not " + truth.shape();
    }
    if (ours.dtype().isFloating() != truth.dtype().isFloating()) {
      return "the result's type is " + ours.dtype() + ", not " + truth.dtype();
    }
    for (int input = 0; input < truth.gradients().size(); input++) {
      boolean wanted = truth.gradients().get(input) != null;
      if (wanted != (ours.gradients().get(input) != null)) {
        return "input " + input + (wanted ? " got no gradient" : " got a gradient");
      }
    }
    return null;
  }

  private static CaseResult compare(
      OpCase.Variant variant,
      DType type,
      String what,
      double[] ours,
      double[] truth,
      double allowed) {
    double error = Tolerance.error(ours, truth);
    int at = Tolerance.worst(ours, truth);
    String note =
        error <= allowed
            ? ""
            : variant + ": " + what + " at " + at + ": got " + ours[at] + ", need " + truth[at];
    return CaseResult.of(variant.operation().name(), type.name(), error, allowed, note);
  }
}
