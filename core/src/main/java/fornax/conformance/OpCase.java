package fornax.conformance;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.BinaryOperator;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// An operation to test, and the inputs to test it on. One line covers forward and gradient, on
/// every backend and in every type:
///
/// ```java
/// OpCase.of("softmax", x -> x.softmax(-1)).on(shape(3, 33), shape(129, 7).transposed()).reducing()
/// ```
///
/// Before a dot in the name stands the method of [Tensor] that is tested.
public final class OpCase {
  /// A function of three tensors.
  @FunctionalInterface
  public interface Ternary {
    Tensor apply(Tensor a, Tensor b, Tensor c);
  }

  private enum Gradient {
    NONE,
    /// that of the function
    EXACT,
    /// agreed on, where the function's own is 0 almost everywhere
    CONVENTIONAL
  }

  private static final List<DType> ALL = List.of(DType.F32, DType.BF16, DType.F16);
  private static final List<DType> HALVES = List.of(DType.BF16, DType.F16);

  private static final int F16_VARIANTS = 3;

  private final String name;
  private final int arity;
  private final Function<List<Tensor>, Tensor> function;
  private final Gradient gradient;
  private final List<DType> types;
  private final int roundings;
  private final Function<List<Input>, Long> reduction;
  private final List<List<Input>> inputs;

  private OpCase(
      String name,
      int arity,
      Function<List<Tensor>, Tensor> function,
      Gradient gradient,
      List<DType> types,
      int roundings,
      Function<List<Input>, Long> reduction,
      List<List<Input>> inputs) {
    this.name = name;
    this.arity = arity;
    this.function = function;
    this.gradient = gradient;
    this.types = types;
    this.roundings = roundings;
    this.reduction = reduction;
    this.inputs = inputs;
  }

  /// An operation on one tensor.
  public static OpCase of(String name, UnaryOperator<Tensor> function) {
    return ofAll(name, 1, x -> function.apply(x.getFirst()));
  }

  /// An operation on two tensors.
  public static OpCase of(String name, BinaryOperator<Tensor> function) {
    return ofAll(name, 2, x -> function.apply(x.get(0), x.get(1)));
  }

  /// An operation on three tensors.
  public static OpCase of(String name, Ternary function) {
    return ofAll(name, 3, x -> function.apply(x.get(0), x.get(1), x.get(2)));
  }

  /// An operation on `arity` tensors.
  public static OpCase ofAll(String name, int arity, Function<List<Tensor>, Tensor> function) {
    return new OpCase(name, arity, function, Gradient.EXACT, ALL, 1, _ -> 1L, List.of());
  }

  /// Adds inputs to test it on: one for each argument, and so again.
  public OpCase on(Input... more) {
    if (more.length == 0 || more.length % arity != 0) {
      throw new IllegalArgumentException(
          name + ": wrong number of inputs; got " + more.length + "; need a multiple of " + arity);
    }
    List<List<Input>> all = new ArrayList<>(inputs);
    for (int i = 0; i < more.length; i += arity) {
      all.add(List.of(more).subList(i, i + arity));
    }
    return new OpCase(name, arity, function, gradient, types, roundings, reduction, all);
  }

  /// Says that the result has no gradient.
  public OpCase withoutGradient() {
    return with(Gradient.NONE);
  }

  /// Says that the function is a staircase, so that finite differences do not tell its gradient.
  public OpCase withoutDifferences() {
    return with(Gradient.CONVENTIONAL);
  }

  private OpCase with(Gradient other) {
    return new OpCase(name, arity, function, other, types, roundings, reduction, inputs);
  }

  /// Says that each element of the result sums up to the largest axis of the inputs.
  public OpCase reducing() {
    return reducing(
        on -> on.stream().mapToLong(input -> largestAxis(input.shape())).max().orElse(1));
  }

  /// Says that the result sums up all elements of the first input.
  public OpCase reducingAll() {
    return reducing(on -> on.getFirst().shape().elements());
  }

  private OpCase reducing(Function<List<Input>, Long> length) {
    return new OpCase(name, arity, function, gradient, types, roundings, length, inputs);
  }

  private static long largestAxis(Shape shape) {
    return Arrays.stream(shape.toArray()).max().orElse(1);
  }

  /// Says how often a value is rounded on its way from an input to the result, where types have 16
  /// bits; 1 if this is not called.
  public OpCase roundings(int count) {
    return new OpCase(name, arity, function, gradient, types, count, reduction, inputs);
  }

  /// Says that the operation is not tested in BF16 and F16, because rounding moves the place where
  /// it jumps.
  public OpCase notInHalves() {
    return in(List.of(DType.F32));
  }

  /// Says that the operation is tested in BF16 and F16 alone, with inputs of several types.
  public OpCase mixed() {
    return in(HALVES);
  }

  private OpCase in(List<DType> others) {
    return new OpCase(name, arity, function, gradient, others, roundings, reduction, inputs);
  }

  /// The name, `softmax` or `sum.axis`.
  public String name() {
    return name;
  }

  /// The method tested, `sum` of `sum.axis`.
  public String method() {
    int dot = name.indexOf('.');
    return dot < 0 ? name : name.substring(0, dot);
  }

  /// Whether the result has a gradient.
  public boolean isDifferentiable() {
    return gradient != Gradient.NONE;
  }

  /// Whether finite differences tell the gradient.
  public boolean hasDifferences() {
    return gradient == Gradient.EXACT;
  }

  /// The types to test it in on a device.
  public List<DType> types() {
    return types;
  }

  /// The inputs to test it on.
  public List<Variant> variants() {
    return inputs.stream().map(Variant::new).toList();
  }

  /// Those to test it on in `type`: all; but in F16, whose kernels differ from BF16's in how a
  /// number is read and written, the first few where BF16 has been through them all.
  public List<Variant> variants(DType type) {
    boolean few = type == DType.F16 && types.contains(DType.F32);
    return few ? variants().subList(0, Math.min(F16_VARIANTS, inputs.size())) : variants();
  }

  @Override
  public String toString() {
    return name;
  }

  /// The inputs of one test of the operation.
  public final class Variant {
    private final List<Input> inputs;

    private Variant(List<Input> inputs) {
      this.inputs = inputs;
    }

    /// The operation.
    public OpCase operation() {
      return OpCase.this;
    }

    List<Input> inputs() {
      return inputs;
    }

    /// The elements of all inputs together.
    public long elements() {
      return inputs.stream().mapToLong(input -> input.shape().elements()).sum();
    }

    /// Whether gradients are tested on these inputs.
    public boolean testsGradient() {
      return isDifferentiable() && inputs.stream().allMatch(Input::isOrdinary);
    }

    // In 16 bits the gradient of a repeated row is a sum of rounded terms, which may be far larger
    // than the sum itself.
    private boolean testsGradient(DType precision) {
      return testsGradient()
          && (!precision.isHalf() || inputs.stream().noneMatch(Input::isRepeated));
    }

    /// Runs the operation, and backward from a seed of random numbers. With a gradient, both are
    /// done twice and half of what has added up is returned, so that a kernel that adds to a
    /// gradient is tested like one that writes it.
    ///
    /// @param type the type of the floating tensors
    /// @param precision what the numbers that go in are rounded to
    Outcome run(Backend backend, DType type, DType precision) {
      try (var _ = Scope.open()) {
        boolean backward = testsGradient(precision);
        List<Tensor> leaves = new ArrayList<>();
        for (Input input : inputs) {
          double[] elements = input.elements(precision, seed(leaves.size()));
          Tensor leaf = input.leaf(backend, type, elements);
          leaves.add(backward && input.wantsGradient() ? leaf.requiresGrad(true) : leaf);
        }
        Tensor y = apply(leaves);
        if (backward != y.requiresGrad()) {
          throw new IllegalStateException(
              backward ? "the result has no gradient" : "the result has a gradient");
        }
        List<double @Nullable []> gradients = new ArrayList<>();
        if (backward) {
          y.backward(dy(backend, y, precision));
          apply(leaves).backward(dy(backend, y, precision));
          for (Tensor leaf : leaves) {
            Tensor grad = leaf.grad();
            gradients.add(grad == null ? null : halved(grad.toDoubleArray()));
          }
        }
        return new Outcome(y.dtype(), y.shape(), y.toDoubleArray(), gradients);
      }
    }

    private Tensor apply(List<Tensor> leaves) {
      List<Tensor> arguments = new ArrayList<>();
      for (int i = 0; i < leaves.size(); i++) {
        arguments.add(inputs.get(i).view(leaves.get(i)));
      }
      return function.apply(arguments);
    }

    private static double[] halved(double[] sums) {
      return Arrays.stream(sums).map(sum -> sum / 2).toArray();
    }

    /// Checks the rule of the gradient by finite differences on `reference`, in F64.
    ///
    /// @throws AssertionError naming the operation, the input, the index and both numbers
    public void checkGradient(Backend reference) {
      try (var _ = Scope.open()) {
        List<Tensor> leaves = new ArrayList<>();
        for (Input input : inputs) {
          double[] elements = input.elements(DType.F64, seed(leaves.size()));
          Tensor leaf = input.leaf(reference, DType.F64, elements);
          leaves.add(input.wantsGradient() ? leaf.requiresGrad(true) : leaf);
        }
        GradCheck.check(toString(), this::apply, leaves);
      }
    }

    private static Tensor dy(Backend backend, Tensor y, DType precision) {
      Random random = new Random(1);
      double[] elements = new double[Math.toIntExact(y.elements())];
      Arrays.setAll(elements, _ -> Input.round(random.nextGaussian(), precision));
      return Tensors.on(backend).of(elements, y.dtype(), y.shape());
    }

    private long seed(int input) {
      return 31L * name.hashCode() + input;
    }

    /// The largest error allowed of the result, of type `type`.
    double tolerance(DType type) {
      return Tolerance.bound(type, reduction.apply(inputs), roundings);
    }

    /// The largest error allowed of the gradient of input `input`: of the same kind, but that the
    /// gradient of what was broadcast is a sum, and that halves are saved for it rounded. The
    /// gradient of a parameter is not rounded itself.
    double gradientTolerance(DType type, Outcome truth, int input) {
      long stored =
          inputs.stream()
              .filter(Input::wantsGradient)
              .mapToLong(one -> one.stored().elements())
              .min()
              .orElse(1);
      long repeats = truth.shape().elements() / Math.max(1, stored);
      int more = inputs.get(input).isMaster() ? -1 : 1;
      return Tolerance.bound(type, Math.max(reduction.apply(inputs), repeats), roundings + more);
    }

    @Override
    public String toString() {
      return name
          + inputs.stream().map(Input::toString).collect(Collectors.joining(", ", "(", ")"));
    }
  }

  /// What came out of a run.
  ///
  /// @param gradients one for each input; null where an input got none
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Outcome(DType dtype, Shape shape, double[] result, List<double @Nullable []> gradients) {
    /// The same, but what is beyond the range of `type` is infinite.
    Outcome narrowedTo(DType type) {
      if (type == DType.F64 || !dtype.isFloating()) {
        return this;
      }
      List<double @Nullable []> narrow = new ArrayList<>();
      for (double[] gradient : gradients) {
        narrow.add(gradient == null ? null : narrow(gradient, type));
      }
      return new Outcome(dtype, shape, narrow(result, dtype == DType.F64 ? type : dtype), narrow);
    }

    private static double[] narrow(double[] values, DType type) {
      return Arrays.stream(values)
          .map(v -> Double.isInfinite(Input.round(v, type)) ? Input.round(v, type) : v)
          .toArray();
    }
  }
}
