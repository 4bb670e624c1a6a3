package fornax.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import fornax.array.DType;
import fornax.backend.Backend;
import fornax.backend.NdArray;
import fornax.backend.reference.ReferenceBackend;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Proxy;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestInstance;

@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class OpCasesTest {
  // These give a tensor, but compute nothing.
  private static final Set<String> NOT_OPERATIONS =
      Set.of(
          "requiresGrad", "grad", "escape", "of", "scalar", "from", "keepWorkingCopy", "working");

  private final ReferenceBackend reference = new ReferenceBackend();

  @AfterAll
  void close() {
    assertEquals(0, reference.memory().stats().live());
    reference.close();
  }

  @Test
  void all_coversEveryOperationOfTensor() {
    Set<String> methods = new TreeSet<>();
    for (Class<?> type : List.of(Tensor.class, Tensors.class)) {
      for (Method method : type.getDeclaredMethods()) {
        if (Modifier.isPublic(method.getModifiers()) && givesTensors(method.getReturnType())) {
          methods.add(method.getName());
        }
      }
    }
    methods.removeAll(NOT_OPERATIONS);
    Set<String> tested = OpCases.all().stream().map(OpCase::method).collect(Collectors.toSet());
    methods.removeAll(tested);
    assertEquals(Set.of(), methods, "operations without a case");
  }

  private static boolean givesTensors(Class<?> type) {
    return type == Tensor.class
        || Collection.class.isAssignableFrom(type)
        || type.getEnclosingClass() == Tensor.class;
  }

  @Test
  void all_reachesEveryMethodOfABackend() {
    Set<String> methods = new TreeSet<>();
    for (Method method : Backend.class.getMethods()) {
      if (!Modifier.isStatic(method.getModifiers()) && computes(method)) {
        methods.add(signature(method));
      }
    }
    Backend recorded =
        (Backend)
            Proxy.newProxyInstance(
                Backend.class.getClassLoader(),
                new Class<?>[] {Backend.class},
                (_, method, arguments) -> {
                  methods.remove(signature(method));
                  return method.invoke(reference, arguments);
                });
    for (OpCase operation : OpCases.all()) {
      OpCase.Outcome outcome = operation.variants().getFirst().run(recorded, DType.F32, DType.F32);
      assertEquals(outcome.shape().elements(), outcome.result().length);
    }
    assertEquals(Set.of(), methods, "functions of a backend that no case reaches");
  }

  private static boolean computes(Method method) {
    List<Class<?>> parameters = List.of(method.getParameterTypes());
    return parameters.contains(NdArray.class) || parameters.contains(List.class);
  }

  private static String signature(Method method) {
    return Arrays.stream(method.getParameterTypes())
        .map(Class::getSimpleName)
        .collect(Collectors.joining(", ", method.getName() + "(", ")"));
  }

  @Test
  void all_hasEachNameOnceAndInputs() {
    List<String> names = OpCases.all().stream().map(OpCase::name).toList();
    assertEquals(names.stream().distinct().toList(), names);
    assertTrue(OpCases.all().stream().noneMatch(operation -> operation.variants().isEmpty()));
  }

  @Test
  void all_hasTheSizesThatKernelsTripOver() {
    List<Input> inputs =
        OpCases.all().stream()
            .flatMap(operation -> operation.variants().stream())
            .flatMap(variant -> variant.inputs().stream())
            .toList();
    for (long size : new long[] {0, 1, 7, 31, 33, 127, 129, 1025}) {
      assertTrue(has(inputs, input -> contains(input.shape().toArray(), size)), "size " + size);
    }
    for (String form : List.of("transposed", "sliced", "broadcast")) {
      assertTrue(has(inputs, input -> input.toString().contains(form)), form);
    }
  }

  private static boolean has(List<Input> inputs, Predicate<Input> property) {
    return inputs.stream().filter(property).count() >= 3;
  }

  private static boolean contains(long[] dims, long size) {
    return Arrays.stream(dims).anyMatch(dim -> dim == size);
  }

  @Test
  void on_rejectsTooFewInputs() {
    OpCase add = OpCase.of("add", Tensor::add);
    assertEquals(
        "add: wrong number of inputs; got 1; need a multiple of 2",
        assertThrows(IllegalArgumentException.class, () -> add.on(Input.shape(3))).getMessage());
  }

  // Finite differences, in F64.
  @TestFactory
  Stream<DynamicTest> gradients_areThoseOfTheFunctions() {
    return OpCases.all().stream()
        .filter(OpCase::hasDifferences)
        .flatMap(operation -> operation.variants().stream())
        .filter(OpCase.Variant::testsGradient)
        .map(variant -> dynamicTest(variant.toString(), () -> variant.checkGradient(reference)));
  }
}
