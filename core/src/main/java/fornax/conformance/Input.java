package fornax.conformance;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.util.Locale;
import java.util.Random;

/// One input of an operation in a test: its shape, how its elements lie in memory, and what they
/// are. The elements are the same on every run.
///
/// ```java
/// shape(3, 33)                      // normally distributed, contiguous
/// shape(3, 33).transposed()         // the same shape, stored as [33, 3]
/// shape(7).between(0.5, 2)
/// shape(7).indices(10)              // I32 in [0, 10)
/// ```
public final class Input {
  /// Numbers at which functions have their edges.
  static final double[] EXTREMES = {
    1e4, -1e4, Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, 0, -0.0, 1, -1, 0.5
  };

  /// [#EXTREMES] without infinities.
  static final double[] LARGE = {1e4, -1e4, Double.NaN, 0, -0.0, 1, -1, 30, -30, 1e-4};

  /// What the input is in a model, which says what 16 bits mean for it.
  private enum Role {
    ACTIVATION,
    PARAMETER,
    F32
  }

  private enum Form {
    CONTIGUOUS,
    TRANSPOSED,
    SLICED,
    BROADCAST
  }

  /// What the elements are.
  private sealed interface Content {
    record Normal() implements Content {}

    record Uniform(double low, double high) implements Content {}

    record Indices(int count) implements Content {}

    record Flags() implements Content {}

    /// The numbers, again and again.
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Given(DType dtype, double... numbers) implements Content {}
  }

  private final Shape shape;
  private final Form form;
  private final Content content;
  private final boolean constant;
  private final Role role;

  private Input(Shape shape, Form form, Content content, boolean constant, Role role) {
    this.shape = shape;
    this.form = form;
    this.content = content;
    this.constant = constant;
    this.role = role;
  }

  /// A floating input of normally distributed elements, contiguous.
  public static Input shape(long... dims) {
    return new Input(Shape.of(dims), Form.CONTIGUOUS, new Content.Normal(), false, Role.ACTIVATION);
  }

  /// The same shape, a view of an array stored with its last two axes swapped.
  public Input transposed() {
    return new Input(shape, Form.TRANSPOSED, content, constant, role);
  }

  /// The same shape, a view of the inside of a larger array.
  public Input sliced() {
    return new Input(shape, Form.SLICED, content, constant, role);
  }

  /// The same shape, one row repeated along the first axis.
  public Input broadcast() {
    return new Input(shape, Form.BROADCAST, content, constant, role);
  }

  /// Elements evenly distributed in `[low, high)`.
  public Input between(double low, double high) {
    return with(new Content.Uniform(low, high));
  }

  /// I32 elements in `[0, count)`, repeated ones among them.
  public Input indices(int count) {
    return with(new Content.Indices(count));
  }

  /// BOOL elements.
  public Input flags() {
    return with(new Content.Flags());
  }

  /// BOOL elements, all false.
  Input nothing() {
    return with(new Content.Given(DType.BOOL, 0));
  }

  /// The numbers `numbers`, again and again; only the forward result is tested at them.
  public Input values(double... numbers) {
    return with(new Content.Given(DType.F32, numbers));
  }

  /// The whole numbers `numbers`, again and again, as I32.
  public Input integers(double... numbers) {
    return with(new Content.Given(DType.I32, numbers));
  }

  /// An input that the operation has no gradient for, though it is floating.
  public Input constant() {
    return new Input(shape, form, content, true, role);
  }

  /// A parameter: in BF16 and F16 its working copy takes part, and the gradient is the master's,
  /// F32.
  public Input parameter() {
    return new Input(shape, form, content, constant, Role.PARAMETER);
  }

  /// F32 in BF16 and F16 as well, as the parameters of norms and biases are.
  public Input inF32() {
    return new Input(shape, form, content, constant, Role.F32);
  }

  private Input with(Content other) {
    return new Input(shape, form, other, constant, role);
  }

  /// The input's shape.
  public Shape shape() {
    return shape;
  }

  /// Whether gradients are tested where this is among an operation's inputs: not at its edges.
  boolean isOrdinary() {
    return !(content instanceof Content.Given given) || given.dtype() != DType.F32;
  }

  boolean isRepeated() {
    return form == Form.BROADCAST;
  }

  /// Whether the gradient is F32 in BF16 and F16 as well.
  boolean isMaster() {
    return role != Role.ACTIVATION;
  }

  boolean wantsGradient() {
    return isFloating() && !constant;
  }

  private boolean isFloating() {
    return dtype(DType.F32) == DType.F32;
  }

  private DType dtype(DType floating) {
    return switch (content) {
      case Content.Normal _, Content.Uniform _ -> floating;
      case Content.Indices _ -> DType.I32;
      case Content.Flags _ -> DType.BOOL;
      case Content.Given given -> given.dtype() == DType.F32 ? floating : given.dtype();
    };
  }

  /// The shape that is stored.
  Shape stored() {
    int rank = shape.rank();
    return switch (form) {
      case CONTIGUOUS -> shape;
      case TRANSPOSED -> shape.with(-1, shape.dim(-2)).with(-2, shape.dim(-1));
      case SLICED -> {
        Shape larger = shape;
        for (int axis = 0; axis < rank; axis++) {
          larger = larger.with(axis, shape.dim(axis) + 2);
        }
        yield larger;
      }
      case BROADCAST -> shape.with(0, 1);
    };
  }

  /// The elements stored, rounded to `precision`, which is F32, BF16, F16 or F64.
  double[] elements(DType precision, long seed) {
    Random random = new Random(seed);
    DType rounded = role == Role.F32 && precision.isHalf() ? DType.F32 : precision;
    double[] elements = new double[Math.toIntExact(stored().elements())];
    for (int i = 0; i < elements.length; i++) {
      elements[i] = round(next(random, i), rounded);
    }
    return elements;
  }

  private double next(Random random, int i) {
    return switch (content) {
      case Content.Normal _ -> random.nextGaussian();
      case Content.Uniform uniform ->
          uniform.low() + (uniform.high() - uniform.low()) * random.nextDouble();
      case Content.Indices indices -> random.nextInt(indices.count());
      case Content.Flags _ -> random.nextInt(2);
      case Content.Given given -> given.numbers()[i % given.numbers().length];
    };
  }

  static double round(double value, DType precision) {
    return switch (precision) {
      case F32 -> (float) value;
      case BF16, F16 -> precision.fromHalf(precision.toHalf((float) value));
      case F64, I32, BOOL -> value;
    };
  }

  /// The stored tensor, of type `floating` where it is a floating input. [#view(Tensor)] makes the
  /// input of it.
  Tensor leaf(Backend backend, DType floating, double[] elements) {
    boolean master = isMaster() && floating.isHalf();
    DType type = dtype(master ? DType.F32 : floating);
    Tensor leaf = Tensors.on(backend).of(elements, type, stored());
    return leaf.keepWorkingCopy(master && role == Role.PARAMETER ? floating : null);
  }

  /// The input, as a view of `leaf`.
  Tensor view(Tensor leaf) {
    return form(leaf.working());
  }

  private Tensor form(Tensor leaf) {
    return switch (form) {
      case CONTIGUOUS -> leaf;
      case TRANSPOSED -> leaf.transpose();
      case SLICED -> {
        Tensor inside = leaf;
        for (int axis = 0; axis < shape.rank(); axis++) {
          inside = inside.slice(axis, 1, 1 + shape.dim(axis));
        }
        yield inside;
      }
      case BROADCAST -> leaf.expand(shape.toArray());
    };
  }

  @Override
  public String toString() {
    String text = shape.toString();
    if (form != Form.CONTIGUOUS) {
      text += " " + form.name().toLowerCase(Locale.ROOT);
    }
    text +=
        switch (role) {
          case ACTIVATION -> "";
          case PARAMETER -> " parameter";
          case F32 -> " in F32";
        };
    return switch (content) {
      case Content.Normal _ -> text;
      case Content.Uniform(double low, double high) -> text + " in " + low + " to " + high;
      case Content.Indices(int count) -> text + " below " + count;
      case Content.Flags _ -> text + " flags";
      case Content.Given given -> text + " of " + given.numbers()[0] + "…";
    };
  }
}
