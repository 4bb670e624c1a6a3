package fornax.conformance;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.reference.ReferenceBackend;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Function;

/// Checks gradients against central finite differences, in F64 on the reference backend: in F32 the
/// differences would be noise. Also for operations of your own:
///
/// ```java
/// GradCheck.check("cube", x -> new Cube().apply(x.getFirst()), shape(3, 4));
/// ```
///
/// With a random `w` the gradient of `L = Σ w ⊙ f(x)` is compared with `(L(x + h) − L(x − h)) /
/// 2h`, element by element; of a large input, some elements.
public final class GradCheck {
  // Near the cube root of F64's precision, where the truncation h²·f‴/6 meets the rounding ε·f / h.
  private static final double STEP = 1e-5;

  private static final double TOLERANCE = 1e-6;

  // Elements of one input that are checked.
  private static final int SAMPLES = 24;

  private GradCheck() {}

  /// Checks `function` on random inputs, on a reference backend of its own.
  ///
  /// @throws AssertionError naming the operation, the input, the index and both numbers
  public static void check(String op, Function<List<Tensor>, Tensor> function, Input... inputs) {
    try (var backend = new ReferenceBackend();
        var _ = Scope.open()) {
      List<Tensor> leaves = new ArrayList<>();
      for (Input input : inputs) {
        Tensor leaf = input.leaf(backend, DType.F64, input.elements(DType.F64, leaves.size()));
        leaves.add(input.wantsGradient() ? leaf.requiresGrad(true) : leaf);
      }
      check(
          op,
          given -> {
            List<Tensor> views = new ArrayList<>();
            for (int i = 0; i < inputs.length; i++) {
              views.add(inputs[i].view(given.get(i)));
            }
            return function.apply(views);
          },
          leaves);
    }
  }

  /// Checks the gradients of `function` with respect to those of `leaves`, F64 on a reference
  /// backend, that require one. The function must give the same every time.
  ///
  /// @throws AssertionError naming the operation, the input, the index and both numbers
  public static void check(
      String op, Function<List<Tensor>, Tensor> function, List<Tensor> leaves) {
    Random random = new Random(op.hashCode());
    try (var _ = Scope.open()) {
      Tensor y = function.apply(leaves);
      if (!y.requiresGrad()) {
        throw new AssertionError("gradCheck: " + op + ": the result has no gradient");
      }
      double[] w = random.doubles(y.elements(), -1, 1).toArray();
      y.backward(Tensors.on(y.backend()).of(w, DType.F64, y.shape()));
      for (int input = 0; input < leaves.size(); input++) {
        if (leaves.get(input).requiresGrad()) {
          checkInput(op, function, leaves, input, w, random);
        }
      }
    }
  }

  private static void checkInput(
      String op,
      Function<List<Tensor>, Tensor> function,
      List<Tensor> leaves,
      int input,
      double[] w,
      Random random) {
    Tensor leaf = leaves.get(input);
    int size = Math.toIntExact(leaf.elements());
    Tensor grad = leaf.grad();
    double[] gradient = grad == null ? new double[size] : grad.toDoubleArray();
    for (int element : samples(size, random)) {
      double difference = difference(function, leaves, input, element, w);
      double allowed = TOLERANCE * Math.max(1, Math.abs(difference));
      if (!(Math.abs(gradient[element] - difference) <= allowed)) {
        throw new AssertionError(
            "gradCheck: "
                + op
                + ": gradient and finite difference differ; got "
                + gradient[element]
                + " for input "
                + input
                + " at "
                + position(leaf.shape(), element)
                + "; need "
                + difference
                + " ± "
                + allowed);
      }
    }
  }

  private static int[] samples(int size, Random random) {
    return size <= SAMPLES
        ? random.ints(0, Math.max(1, size)).distinct().limit(size).toArray()
        : random.ints(0, size).distinct().limit(SAMPLES).toArray();
  }

  private static double difference(
      Function<List<Tensor>, Tensor> function,
      List<Tensor> leaves,
      int input,
      int element,
      double[] w) {
    double[] values = leaves.get(input).toDoubleArray();
    double at = values[element];
    double step = STEP * Math.max(1, Math.abs(at));
    double high = at + step;
    double low = at - step;
    values[element] = high;
    double[] above = evaluate(function, leaves, input, values);
    values[element] = low;
    double[] below = evaluate(function, leaves, input, values);
    double sum = 0;
    for (int i = 0; i < w.length; i++) {
      sum += w[i] * (above[i] - below[i]);
    }
    return sum / (high - low);
  }

  private static double[] evaluate(
      Function<List<Tensor>, Tensor> function, List<Tensor> leaves, int input, double[] values) {
    try (var _ = Scope.open();
        var _ = GradMode.noGrad()) {
      Tensor leaf = leaves.get(input);
      List<Tensor> moved = new ArrayList<>(leaves);
      moved.set(input, Tensors.on(leaf.backend()).of(values, DType.F64, leaf.shape()));
      return function.apply(moved).toDoubleArray();
    }
  }

  private static String position(Shape shape, long element) {
    long[] index = new long[shape.rank()];
    for (int axis = shape.rank() - 1; axis >= 0; axis--) {
      index[axis] = element % shape.dim(axis);
      element /= shape.dim(axis);
    }
    return Arrays.toString(index);
  }
}
