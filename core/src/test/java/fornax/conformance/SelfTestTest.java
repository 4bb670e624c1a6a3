package fornax.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.backend.Backend;
import fornax.backend.Binary;
import fornax.backend.NdArray;
import fornax.backend.Unary;
import fornax.backend.reference.ReferenceBackend;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.List;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// A backend with a fault must fail, and where the fault is.
class SelfTestTest {
  private final ReferenceBackend sound = new ReferenceBackend();
  private final ReferenceBackend reference = new ReferenceBackend();

  @AfterEach
  void close() {
    assertEquals(0, sound.memory().stats().live());
    sound.close();
    reference.close();
  }

  /// The reference backend, but that `fault` is run after each call of `name`.
  private Backend faulty(String name, BiConsumer<Method, Object[]> fault) {
    return (Backend)
        Proxy.newProxyInstance(
            Backend.class.getClassLoader(),
            new Class<?>[] {Backend.class},
            (_, method, arguments) -> {
              Object result;
              try {
                result = method.invoke(sound, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause() == null ? e : e.getCause();
              }
              if (method.getName().equals(name)) {
                fault.accept(method, arguments);
              }
              return result;
            });
  }

  private void scale(Object array, double factor) {
    NdArray y = (NdArray) array;
    sound.binary(Binary.MULTIPLY, y, factor, y);
  }

  private List<CaseResult> failures(Backend backend, String method) {
    return OpCases.all().stream()
        .filter(operation -> operation.method().equals(method))
        .flatMap(operation -> operation.variants().stream())
        .flatMap(variant -> SelfTest.check(variant, DType.F32, reference, backend).stream())
        .filter(result -> !result.passed())
        .toList();
  }

  @Test
  void operations_passOnASoundBackend() {
    List<CaseResult> results = SelfTest.operations(sound);
    assertTrue(results.stream().allMatch(CaseResult::passed));
    assertEquals(
        OpCases.all().stream().mapToInt(operation -> operation.types().size()).sum(),
        results.size());
  }

  @Test
  void check_noticesAWrongResult() {
    Backend faulty =
        faulty(
            "unary",
            (_, arguments) -> {
              if (arguments[0] == Unary.SIN) {
                scale(arguments[2], 1.001);
              }
            });
    CaseResult failure = failures(faulty, "sin").getFirst();
    assertEquals("sin", failure.op());
    assertEquals("F32", failure.dtype());
    assertEquals(CaseResult.Status.FAILED, failure.status());
    assertEquals(1e-5, failure.tolerance());
    assertTrue(failure.note().contains("sin([]): result at 0: got "), failure::note);
    assertEquals(List.of(), failures(faulty, "cos"));
  }

  @Test
  void check_noticesAWrongGradient() {
    Backend faulty = faulty("softmaxGradient", (_, arguments) -> scale(arguments[3], 1.001));
    CaseResult failure = failures(faulty, "softmax").getFirst();
    assertTrue(failure.note().contains("gradient of input 0 at "), failure::note);
    assertEquals(List.of(), failures(faulty, "logSoftmax"));
  }

  @Test
  void check_noticesAGradientThatIsNotAddedTo() {
    Backend faulty =
        faulty(
            "matmul",
            (_, arguments) -> {
              if ((boolean) arguments[3]) { // as if it had been written over
                sound.matmul(
                    (NdArray) arguments[0], (NdArray) arguments[1], (NdArray) arguments[2], false);
              }
            });
    assertTrue(failures(faulty, "linear").getFirst().note().contains("gradient of input "));
  }

  @Test
  void check_noticesNaNAndThrownErrors() {
    Backend nan = faulty("cumulativeSum", (_, arguments) -> scale(arguments[2], Double.NaN));
    assertEquals(Double.POSITIVE_INFINITY, failures(nan, "cumulativeSum").getFirst().maxError());
    Backend broken =
        faulty(
            "cumulativeSum",
            (_, _) -> {
              throw new IllegalStateException("launch failed");
            });
    String note = failures(broken, "cumulativeSum").getFirst().note();
    assertTrue(note.endsWith("IllegalStateException: launch failed"), note);
  }

  @Test
  void repeats_noticesOtherBits() {
    OpCase.Variant variant =
        OpCase.of("exp", x -> x.exp()).on(Input.shape(7)).variants().getFirst();
    assertTrue(SelfTest.repeats(variant, DType.F32, sound));
    double[] factor = {1};
    Backend unsteady =
        faulty(
            "unary",
            (_, arguments) -> {
              factor[0] += 0x1p-20;
              scale(arguments[2], factor[0]);
            });
    assertFalse(SelfTest.repeats(variant, DType.F32, unsteady));
  }
}
