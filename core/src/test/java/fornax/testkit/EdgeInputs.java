package fornax.testkit;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Conv2dOptions;
import fornax.backend.Extent;
import fornax.backend.Pool2dOptions;
import fornax.tensor.AttentionSpec;
import fornax.tensor.Generator;
import fornax.tensor.GradMode;
import fornax.tensor.LossOptions;
import fornax.tensor.Reduction;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.BinaryOperator;
import java.util.function.UnaryOperator;

/// Arguments of one case of [EdgeFuzz], drawn from a seed: some fit, some are at an edge, some are
/// nonsense.
final class EdgeInputs implements AutoCloseable {
  private static final long[] SIZES = {0, 1, 1, 2, 3, 5, 7, 31, 33, 65};
  private static final long[] EDGES = {
    -1, Long.MIN_VALUE, Long.MAX_VALUE, 1L << 31, (1L << 31) - 1, 1L << 32, 1L << 40, 1L << 62
  };
  private static final double[] NUMBERS = {
    0,
    -0.0,
    1,
    -1,
    0.5,
    1e-30,
    1e30,
    1e300,
    3,
    Integer.MIN_VALUE,
    Double.NaN,
    Double.POSITIVE_INFINITY,
    Double.NEGATIVE_INFINITY
  };
  private static final int[] INDICES = {-1, -100, Integer.MIN_VALUE, Integer.MAX_VALUE, 1 << 30};
  private static final int LARGEST = 20_000; // elements of one tensor

  private final Random random;
  private final Backend backend;
  private final Backend other;
  private final List<Generator> generators = new ArrayList<>();

  EdgeInputs(Backend backend, Backend other, long seed) {
    this.backend = backend;
    this.other = other;
    this.random = new Random(seed);
  }

  Backend backend() {
    return backend;
  }

  Backend device() {
    return chance(20) ? other : backend;
  }

  Tensors on() {
    return Tensors.on(backend);
  }

  private boolean chance(int percent) {
    return random.nextInt(100) < percent;
  }

  boolean flag() {
    return random.nextBoolean();
  }

  private long size() {
    return SIZES[random.nextInt(SIZES.length)];
  }

  int few() {
    return (int) size();
  }

  int small() {
    return chance(10) ? (int) EDGES[random.nextInt(EDGES.length)] : random.nextInt(6) - 1;
  }

  int axis() {
    return chance(3) ? Integer.MIN_VALUE : random.nextInt(7) - 3;
  }

  int[] axes() {
    int[] axes = new int[random.nextInt(5)];
    for (int i = 0; i < axes.length; i++) {
      axes[i] = chance(70) ? i : axis();
    }
    return axes;
  }

  long place() {
    return chance(15) ? EDGES[random.nextInt(EDGES.length)] : random.nextInt(12) - 2;
  }

  double number() {
    return chance(70) ? NUMBERS[random.nextInt(NUMBERS.length)] : random.nextGaussian();
  }

  double probability() {
    return chance(70) ? random.nextDouble() : number();
  }

  DType type() {
    return DType.values()[random.nextInt(DType.values().length)];
  }

  private DType floating() {
    return chance(70) ? DType.F32 : chance(70) ? half() : type();
  }

  /// BF16 or F16.
  DType half() {
    return flag() ? DType.BF16 : DType.F16;
  }

  /// Sizes that may be beyond everything.
  long[] sizes() {
    long[] sizes = new long[random.nextInt(6)];
    for (int i = 0; i < sizes.length; i++) {
      sizes[i] = chance(12) ? EDGES[random.nextInt(EDGES.length)] : size();
    }
    return sizes;
  }

  private Shape shape(int rank) {
    long[] sizes = new long[rank];
    long elements = 1;
    for (int i = 0; i < rank; i++) {
      sizes[i] = size();
      if (elements * sizes[i] > LARGEST) {
        sizes[i] = 1;
      }
      elements *= Math.max(1, sizes[i]);
    }
    return Shape.of(sizes);
  }

  Tensor tensor() {
    return tensor(shape(random.nextInt(6)), chance(60) ? floating() : type());
  }

  private Tensor tensor(Shape shape, DType type) {
    double[] values = new double[(int) shape.elements()];
    boolean odd = chance(30);
    for (int i = 0; i < values.length; i++) {
      values[i] = odd && chance(20) ? number() : random.nextGaussian() * 3;
    }
    Tensor x = Tensors.on(chance(3) ? other : backend).of(values, type, shape);
    Tensor view = view(x);
    if (view.dtype().isFloating() && view == x && chance(40)) {
      view = view.requiresGrad(true);
    }
    if (chance(2)) {
      view.close();
    }
    return view;
  }

  // Of the same shape, but laid out in another way.
  private Tensor view(Tensor x) {
    if (x.rank() < 2 || chance(60)) {
      return x;
    }
    return switch (random.nextInt(4)) {
      case 0 -> x.swapAxes(0, -1).contiguous().swapAxes(0, -1);
      case 1 -> Tensor.concat(0, x, x).slice(0, 0, x.dim(0));
      case 2 -> x.dim(0) == 0 ? x : x.slice(0, 0, 1).expand(x.shape().toArray());
      default -> Tensor.concat(-1, x, x).slice(-1, x.dim(-1), 2 * x.dim(-1));
    };
  }

  /// A view with very many elements, all of them one.
  Tensor repeated() {
    long[] sizes = {1L << random.nextInt(20, 40), 1L << random.nextInt(20)};
    return on().full(number(), type(), Shape.scalar()).expand(sizes);
  }

  Tensor like(Tensor x) {
    return tensor(x.shape(), chance(80) ? x.dtype() : type());
  }

  Tensor vector(long size) {
    return tensor(Shape.of(chance(90) ? Math.min(size, LARGEST) : size()), floating());
  }

  Tensor parameter() {
    Tensor p = tensor(shape(random.nextInt(4)), chance(80) ? DType.F32 : type());
    return chance(90) && !p.requiresGrad() ? p.requiresGrad(true) : p;
  }

  Tensor pair(BinaryOperator<Tensor> operation) {
    Tensor a = tensor();
    Tensor b = like(a);
    return flag() ? operation.apply(a, b) : operation.apply(b, a);
  }

  Tensor quietly(BinaryOperator<Tensor> operation) {
    Tensor a = tensor();
    Tensor b = chance(20) ? a.transpose() : chance(80) ? like(a) : tensor();
    try (var _ = chance(90) ? GradMode.noGrad() : GradMode.withGrad()) {
      return operation.apply(a, b);
    }
  }

  Tensor rows(UnaryOperator<Tensor> operation) {
    return operation.apply(tensor(shape(1 + random.nextInt(3)), floating()));
  }

  Tensor product(BinaryOperator<Tensor> operation) {
    long inner = size();
    Shape left = shape(1 + random.nextInt(2)).concat(Shape.of(inner));
    Tensor a = tensor(left.elements() > LARGEST ? Shape.of(3, inner) : left, floating());
    return operation.apply(a, tensor(Shape.of(inner, size()), floating()));
  }

  Tensor[] split() {
    return tensor().split(axis(), place()).toArray(new Tensor[0]);
  }

  // ---- by index

  private Tensor indices(Shape shape, long end) {
    int[] values = new int[(int) shape.elements()];
    boolean odd = chance(40);
    for (int i = 0; i < values.length; i++) {
      boolean wrong = end <= 0 || odd && chance(10);
      values[i] =
          wrong
              ? chance(50) ? (int) end : INDICES[random.nextInt(INDICES.length)]
              : random.nextInt((int) end);
    }
    return view(on().of(values, shape));
  }

  Tensor indices() {
    return indices(shape(random.nextInt(3)), 7);
  }

  Tensor matrix() {
    return tensor(Shape.of(chance(80) ? 7 : size(), size()), floating());
  }

  Tensor gathered() {
    Tensor x = tensor();
    int axis = x.rank() == 0 ? 0 : random.nextInt(x.rank());
    return x.gather(axis, indices(x.shape().with(axis, few()), x.dim(axis)));
  }

  Tensor scattered() {
    Tensor x = tensor();
    int axis = x.rank() == 0 ? 0 : random.nextInt(x.rank());
    Shape shape = x.shape().with(axis, few());
    return x.scatterAdd(axis, indices(shape, x.dim(axis)), tensor(shape, x.dtype()));
  }

  Tensor logits(BinaryOperator<Tensor> loss) {
    Shape rows = shape(random.nextInt(3));
    long classes = size();
    return loss.apply(
        tensor(
            rows.elements() > 300 ? Shape.of(classes) : rows.concat(Shape.of(classes)), floating()),
        rows.elements() > 300 ? indices(Shape.scalar(), classes) : indices(rows, classes));
  }

  LossOptions lossOptions() {
    Reduction[] all = Reduction.values();
    return LossOptions.DEFAULT
        .withReduction(all[random.nextInt(all.length)])
        .withIgnoreIndex(chance(50) ? -100 : random.nextInt(4) - 1)
        .withSmoothing(chance(70) ? 0 : probability());
  }

  Generator generator() {
    Generator generator = new Generator(device(), random.nextLong());
    if (chance(90)) {
      generators.add(generator);
    } else {
      generator.close();
    }
    return generator;
  }

  // ---- attention and images

  Tensor heads() {
    return tensor(
        Shape.of(2, chance(90) ? 3 : 1, 1 + few() % 8, chance(90) ? 4 : few() % 9), floating());
  }

  Tensor packed() {
    return tensor(Shape.of(few() % 4, few() % 8, 6L * (few() % 4)), floating());
  }

  AttentionSpec attention() {
    AttentionSpec spec = flag() ? AttentionSpec.CAUSAL : AttentionSpec.FULL;
    if (chance(20)) {
      spec = spec.withMask(tensor());
    }
    if (chance(20)) {
      spec = spec.withMask(on().full(random.nextInt(2), DType.BOOL, Shape.of(1, 1, 1, 1)));
    }
    if (chance(20)) {
      spec = spec.withScale(number());
    }
    return chance(20) ? spec.withDropout(probability(), generator()) : spec;
  }

  Tensor images() {
    return tensor(Shape.of(few() % 3, 2, few() % 12, few() % 12), floating());
  }

  Tensor filters() {
    return tensor(Shape.of(2L * (few() % 4), chance(80) ? 2 : 1, few() % 5, few() % 5), floating());
  }

  /// A size of a window, often so large that sums of it overflow.
  int window() {
    return chance(40) ? Integer.MAX_VALUE - random.nextInt(4) : random.nextInt(6) - 1;
  }

  Extent extent() {
    return Extent.of(random.nextInt(6) - 1, random.nextInt(6) - 1);
  }

  Conv2dOptions convolution() {
    int[] large = {1 << 30, Integer.MAX_VALUE, 1 << 20, 3};
    Conv2dOptions options = Conv2dOptions.DEFAULT;
    if (chance(40)) {
      options = options.withPadding(chance(20) ? large[random.nextInt(4)] : random.nextInt(4));
    }
    if (chance(40)) {
      options = options.withStride(chance(20) ? large[random.nextInt(4)] : random.nextInt(4));
    }
    if (chance(40)) {
      options = options.withDilation(chance(20) ? large[random.nextInt(4)] : random.nextInt(4));
    }
    return chance(30) ? options.withGroups(random.nextInt(4)) : options;
  }

  Pool2dOptions pool() {
    Pool2dOptions options = Pool2dOptions.of(extent());
    if (chance(40)) {
      options = options.withStride(chance(30) ? window() : random.nextInt(4));
    }
    return chance(40) ? options.withPadding(random.nextInt(4)) : options;
  }

  @Override
  public void close() {
    generators.forEach(Generator::close);
  }
}
