package fornax.conformance;

import static fornax.conformance.Input.shape;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.AdamWFactors;
import fornax.backend.AdamWSlot;
import fornax.backend.Backend;
import fornax.backend.Conv2dOptions;
import fornax.backend.Extent;
import fornax.backend.NdArray;
import fornax.backend.Pool2dOptions;
import fornax.backend.SgdFactors;
import fornax.backend.SgdSlot;
import fornax.backend.Unary;
import fornax.tensor.AttentionSpec;
import fornax.tensor.Generator;
import fornax.tensor.LossOptions;
import fornax.tensor.Recompute;
import fornax.tensor.Reduction;
import fornax.tensor.Residual;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.util.Arrays;
import java.util.List;
import java.util.function.BinaryOperator;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;

/// The table of all operations and the inputs they are tested on: sizes 0, 1, 7, 31, 33, 127, 129
/// and 1025, round the widths of vectors and tiles; transposed, sliced and broadcast views; and the
/// numbers at which functions have their edges.
///
/// A new operation gets a line here and is then tested on every backend.
public final class OpCases {
  // Elements of any size and layout.
  private static final Input[] ANY = {
    shape(),
    shape(0),
    shape(1),
    shape(7),
    shape(2, 31),
    shape(33),
    shape(127),
    shape(129),
    shape(2, 1025),
    shape(5, 7).transposed(),
    shape(3, 33).sliced(),
    shape(4, 31).broadcast(),
  };

  // The same in fewer tests, for functions that are made of others.
  private static final Input[] FEW = {
    shape(0), shape(1), shape(129), shape(5, 7).transposed(), shape(3, 33).sliced(),
  };

  // Two operands that broadcast.
  private static final Input[] PAIRS = {
    shape(3, 33), shape(3, 33),
    shape(3, 33), shape(33),
    shape(7, 1), shape(1, 31),
    shape(5, 7).transposed(), shape(5, 7),
    shape(2, 1025), shape(2, 1),
    shape(0, 7), shape(7),
    shape(), shape(129),
    shape(1), shape(1),
    shape(4, 31).broadcast(), shape(4, 31).sliced(),
    shape(2, 3, 31).transposed(), shape(3, 1),
    shape(127), shape(127),
  };

  // Rows to reduce along the last axis.
  private static final Input[] ROWS = {
    shape(3, 33),
    shape(1, 129),
    shape(7, 31).transposed(),
    shape(2, 1025),
    shape(129, 7),
    shape(5, 1),
    shape(3, 127).sliced(),
    shape(4, 33).broadcast(),
    shape(0, 7),
    shape(2, 3, 31),
  };

  // One test of each kind of edge.
  private static final Input EXTREMES = shape(10).values(Input.EXTREMES);
  private static final Input LARGE = shape(10).values(Input.LARGE);

  // Every pair of edges.
  private static final Input[] EXTREME_PAIRS = {
    shape(10, 1).values(Input.EXTREMES), shape(1, 10).values(Input.EXTREMES)
  };

  private OpCases() {}

  /// All cases.
  public static List<OpCase> all() {
    return List.of(
            elementwise(),
            arithmetic(),
            comparisons(),
            reductions(),
            matrices(),
            convolutions(),
            pools(),
            views(),
            indexing(),
            normalisations(),
            attention(),
            losses(),
            sampling(),
            optimizers(),
            makingAndChanging(),
            MixedCases.all())
        .stream()
        .flatMap(List::stream)
        .toList();
  }

  private static List<OpCase> elementwise() {
    return List.of(
        OpCase.of("neg", Tensor::neg).on(ANY).on(EXTREMES),
        OpCase.of("neg.integers", Tensor::neg).on(integers(3, 33)).withoutGradient(),
        OpCase.of("abs", Tensor::abs).on(ANY).on(EXTREMES),
        OpCase.of("abs.integers", Tensor::abs).on(integers(3, 33)).withoutGradient(),
        OpCase.of("sign", Tensor::sign).on(ANY).on(EXTREMES),
        OpCase.of("sign.integers", Tensor::sign).on(integers(3, 33)).withoutGradient(),
        OpCase.of("square", Tensor::square).on(ANY).on(EXTREMES),
        OpCase.of("sqrt", Tensor::sqrt).on(between(0.1, 9, ANY)).on(EXTREMES),
        OpCase.of("rsqrt", Tensor::rsqrt).on(between(0.2, 9, ANY)).on(EXTREMES),
        OpCase.of("reciprocal", Tensor::reciprocal).on(between(0.3, 3, ANY)).on(EXTREMES),
        OpCase.of("exp", Tensor::exp).on(ANY).on(between(-20, 2, FEW)).on(EXTREMES),
        OpCase.of("log", Tensor::log).on(between(0.2, 9, ANY)).on(EXTREMES),
        OpCase.of("tanh", Tensor::tanh).on(ANY).on(between(-9, 9, FEW)).on(EXTREMES).roundings(2),
        OpCase.of("sigmoid", Tensor::sigmoid).on(ANY).on(between(-20, 20, FEW)).on(EXTREMES),
        OpCase.of("softplus", Tensor::softplus).on(ANY).on(between(-20, 20, FEW)).on(EXTREMES),
        OpCase.of("logSigmoid", Tensor::logSigmoid)
            .on(ANY)
            .on(between(-20, 20, FEW))
            .on(LARGE)
            .roundings(3),
        OpCase.of("relu", Tensor::relu).on(ANY).on(EXTREMES),
        OpCase.of("silu", Tensor::silu).on(ANY).on(between(-9, 9, FEW)).on(LARGE),
        OpCase.of("gelu", Tensor::gelu).on(ANY).on(between(-9, 9, FEW)).on(LARGE),
        OpCase.of("unary", x -> x.unary(Unary.TANH)).on(ANY),
        OpCase.of("geluTanh", Tensor::geluTanh).on(ANY).on(between(-9, 9, FEW)).on(LARGE),
        OpCase.of("erf", Tensor::erf).on(ANY).on(between(-5, 5, FEW)).on(EXTREMES),
        OpCase.of("sin", Tensor::sin).on(ANY).on(between(-99, 99, FEW)).on(LARGE),
        OpCase.of("cos", Tensor::cos).on(ANY).on(between(-99, 99, FEW)).on(LARGE),
        OpCase.of("clamp", x -> x.clamp(-0.5, 0.75)).on(ANY).on(EXTREMES));
  }

  private static List<OpCase> arithmetic() {
    return List.of(
        OpCase.of("add", Tensor::add).on(PAIRS).on(EXTREME_PAIRS),
        OpCase.of("add.number", x -> x.add(0.1)).on(ANY).on(EXTREMES),
        OpCase.of("add.integers", Tensor::add).on(integers(3, 33), integers(33)).withoutGradient(),
        OpCase.of("sub", Tensor::sub).on(PAIRS).on(EXTREME_PAIRS),
        OpCase.of("sub.number", x -> x.sub(0.1)).on(ANY).on(EXTREMES),
        OpCase.of("sub.integers", Tensor::sub).on(integers(3, 33), integers(33)).withoutGradient(),
        OpCase.of("mul", Tensor::mul).on(PAIRS).on(EXTREME_PAIRS),
        OpCase.of("mul.number", x -> x.mul(0.1)).on(ANY).on(EXTREMES),
        OpCase.of("mul.integers", Tensor::mul).on(integers(3, 33), integers(33)).withoutGradient(),
        OpCase.of("div", Tensor::div)
            .on(second(0.3, 3, PAIRS))
            .on(EXTREME_PAIRS)
            .roundings(2), // the gradient of b: of dy / b, of y and of their product
        OpCase.of("div.number", x -> x.div(0.7)).on(ANY).on(EXTREMES),
        OpCase.of("pow", Tensor::pow).on(between(0.3, 3, PAIRS)),
        OpCase.of("pow.number", x -> x.pow(2.5)).on(between(0.3, 3, ANY)),
        OpCase.of("pow.whole", x -> x.pow(3)).on(ANY).on(shape(6).values(-2, -0.5, 0, 1, 20, 1e4)),
        OpCase.of("maximum", Tensor::maximum).on(PAIRS).on(EXTREME_PAIRS),
        OpCase.of("maximum.integers", Tensor::maximum)
            .on(integers(3, 33), integers(33).sliced())
            .withoutGradient(),
        OpCase.of("minimum", Tensor::minimum).on(PAIRS).on(EXTREME_PAIRS),
        OpCase.of("minimum.integers", Tensor::minimum)
            .on(integers(3, 33), integers(33).sliced())
            .withoutGradient());
  }

  private static List<OpCase> comparisons() {
    return List.of(
        comparison("eq", Tensor::eq),
        comparison("ne", Tensor::ne),
        comparison("lt", Tensor::lt),
        comparison("le", Tensor::le),
        comparison("gt", Tensor::gt),
        comparison("ge", Tensor::ge),
        OpCase.of("eq.number", x -> x.eq(0.5)).on(ANY).on(EXTREMES).withoutGradient(),
        OpCase.of("ne.number", x -> x.ne(0.5)).on(ANY).on(EXTREMES).withoutGradient(),
        OpCase.of("lt.number", x -> x.lt(0.5)).on(ANY).on(EXTREMES).withoutGradient(),
        OpCase.of("le.number", x -> x.le(0.5)).on(ANY).on(EXTREMES).withoutGradient(),
        OpCase.of("gt.number", x -> x.gt(0.5)).on(ANY).on(EXTREMES).withoutGradient(),
        OpCase.of("ge.number", x -> x.ge(0.5)).on(ANY).on(EXTREMES).withoutGradient(),
        OpCase.of("lt.integers", Tensor::lt).on(integers(3, 33), integers(33)).withoutGradient(),
        OpCase.of("eq.integer", x -> x.eq(4)).on(integers(129), integers(0)).withoutGradient(),
        OpCase.of("eq.flags", Tensor::eq).on(flags(3, 33), flags(33)).withoutGradient(),
        OpCase.of("and", Tensor::and).on(flags(3, 33), flags(33)).withoutGradient(),
        OpCase.of("or", Tensor::or).on(flags(3, 33), flags(3, 33).sliced()).withoutGradient(),
        OpCase.of("not", Tensor::not).on(flags(7), flags(0), flags(2, 1025)).withoutGradient(),
        OpCase.of("where", (condition, a, b) -> condition.where(a, b))
            .on(flags(3, 33), shape(3, 33), shape(3, 33))
            .on(flags(3, 1), shape(33), shape(3, 33).sliced())
            .on(flags(33).sliced(), shape(2, 33).broadcast(), shape())
            .on(flags(0), shape(0), shape(1))
            .on(flags(2, 1025), shape(2, 1025), shape(1025))
            .on(flags(10), EXTREMES, LARGE),
        OpCase.of("where.integers", (condition, a, b) -> condition.where(a, b))
            .on(flags(3, 33), integers(3, 33), integers(33))
            .withoutGradient(),
        OpCase.of("maskedFill", (x, mask) -> x.maskedFill(mask, -2.5))
            .on(shape(3, 33), flags(3, 33))
            .on(shape(3, 33).transposed(), flags(33))
            .on(shape(0, 7), flags(1, 7))
            .on(shape(129), flags(129)));
  }

  private static OpCase comparison(String name, BinaryOperator<Tensor> compare) {
    return OpCase.of(name, compare).on(PAIRS).on(EXTREME_PAIRS).withoutGradient();
  }

  private static List<OpCase> reductions() {
    Input[] nothing = {shape(3, 0), shape(0)};
    return List.of(
        OpCase.of("sum", x -> x.sum()).on(ROWS).on(nothing).on(shape(), EXTREMES).reducingAll(),
        OpCase.of("sum.last", x -> x.sum(-1)).on(ROWS).on(nothing).reducing(),
        OpCase.of("sum.first", x -> x.sum(0)).on(ROWS).on(nothing).reducing(),
        OpCase.of("sum.kept", x -> x.sum(-2, true)).on(ROWS).reducing(),
        OpCase.of("sum.axes", x -> x.sum(0, -1)).on(ROWS).reducingAll(),
        OpCase.of("sum.integers", x -> x.sum(-1)).on(integers(3, 33)).withoutGradient(),
        OpCase.of("mean", x -> x.mean())
            .on(ROWS)
            .on(nothing)
            .on(shape(), EXTREMES)
            .reducingAll()
            .roundings(2),
        OpCase.of("mean.last", x -> x.mean(-1)).on(ROWS).reducing().roundings(2),
        OpCase.of("mean.kept", x -> x.mean(0, true)).on(ROWS).reducing().roundings(2),
        OpCase.of("mean.axes", x -> x.mean(-2, -1)).on(ROWS).reducingAll().roundings(2),
        OpCase.of("max", x -> x.max()).on(without0(ROWS)).on(shape(), EXTREMES),
        OpCase.of("max.last", x -> x.max(-1)).on(ROWS).on(shape(3, 7).values(Input.EXTREMES)),
        OpCase.of("max.first", x -> x.max(0)).on(without0(ROWS)),
        OpCase.of("max.kept", x -> x.max(-2, true)).on(without0(ROWS)),
        OpCase.of("max.integers", x -> x.max(-1)).on(integers(3, 33)).withoutGradient(),
        OpCase.of("min", x -> x.min()).on(without0(ROWS)).on(shape(), EXTREMES),
        OpCase.of("min.last", x -> x.min(-1)).on(ROWS).on(shape(3, 7).values(Input.EXTREMES)),
        OpCase.of("min.kept", x -> x.min(0, true)).on(without0(ROWS)),
        OpCase.of("argmax", x -> x.argmax(-1))
            .on(ROWS)
            .on(shape(3, 7).values(Input.EXTREMES), shape(2, 7).values(1, 2, 2))
            .withoutGradient(),
        OpCase.of("argmax.first", x -> x.argmax(0)).on(without0(ROWS)).withoutGradient(),
        OpCase.of("variance", x -> x.variance()).on(without0(ROWS)).reducingAll().roundings(4),
        OpCase.of("variance.last", x -> x.variance(-1))
            .on(shape(3, 33), shape(2, 1025), shape(7, 31).transposed(), shape(0, 7))
            .reducing()
            .roundings(4),
        OpCase.of("populationVariance", x -> x.populationVariance(0, -1))
            .on(without0(ROWS))
            .reducingAll()
            .roundings(4),
        OpCase.of("logSumExp", x -> x.logSumExp(-1))
            .on(ROWS)
            .on(shape(2, 4).values(1e4, -1e4, 0, Double.NEGATIVE_INFINITY))
            .on(shape(2, 3).values(Double.NEGATIVE_INFINITY), shape(3, 7).values(Input.EXTREMES))
            .reducing()
            .roundings(4),
        OpCase.of("cosineSimilarity", (a, b) -> a.cosineSimilarity(b, -1))
            .on(shape(3, 33), shape(3, 33))
            .on(shape(7, 31).transposed(), shape(31))
            .on(shape(1, 1025), shape(5, 1025).sliced())
            .on(shape(2, 3).values(0), shape(2, 3))
            .reducing()
            .roundings(6),
        OpCase.of("cosineSimilarity.first", (a, b) -> a.cosineSimilarity(b, 0))
            .on(shape(33, 3), shape(33, 3))
            .reducing()
            .roundings(6),
        OpCase.of("cumulativeSum", x -> x.cumulativeSum(-1)).on(ROWS).reducing(),
        OpCase.of("cumulativeSum.first", x -> x.cumulativeSum(0)).on(ROWS).reducing());
  }

  private static List<OpCase> matrices() {
    return List.of(
        OpCase.of("matmul", Tensor::matmul)
            .on(shape(5, 7), shape(7, 13))
            .on(shape(1, 1), shape(1, 1))
            .on(shape(33, 129), shape(129, 31))
            .on(shape(33, 127).transposed(), shape(127, 31))
            .on(shape(31, 127), shape(127, 33).transposed())
            .on(shape(7, 129).transposed(), shape(129, 33).transposed())
            .on(shape(1, 1025), shape(1025, 1))
            .on(shape(1, 33), shape(33, 1025))
            .on(shape(7, 31).sliced(), shape(31, 33).sliced())
            .on(shape(7, 31).broadcast(), shape(31, 33).broadcast())
            .on(shape(0, 7), shape(7, 5))
            .on(shape(5, 0), shape(0, 7))
            .on(shape(5, 7), shape(7, 0))
            .reducing(),
        OpCase.of("matmul.batches", Tensor::matmul)
            .on(shape(3, 5, 7), shape(3, 7, 13))
            .on(shape(3, 5, 7).transposed(), shape(3, 7, 13).transposed())
            .on(shape(3, 5, 33), shape(33, 7))
            .on(shape(5, 33), shape(3, 33, 7))
            .on(shape(2, 1, 5, 7), shape(3, 7, 31))
            .on(shape(2, 1, 5, 7), shape(1, 3, 7, 31).sliced())
            .on(shape(3, 5, 7).broadcast(), shape(3, 7, 13))
            .on(shape(0, 5, 7), shape(7, 3))
            .reducing(),
        OpCase.of("matmul.vectors", Tensor::matmul)
            .on(shape(5, 7), shape(7))
            .on(shape(7), shape(7, 33))
            .on(shape(129), shape(129))
            .on(shape(3, 5, 7), shape(7))
            .on(shape(7), shape(3, 7, 5))
            .reducing(),
        OpCase.of("linear", (x, w, bias) -> x.linear(w, bias))
            .on(shape(3, 33), shape(33, 7), shape(7))
            .on(shape(129, 31).transposed(), shape(31, 127).transposed(), shape(127))
            .on(shape(2, 5, 31), shape(31, 129), shape(129))
            .on(shape(0, 7), shape(7, 3), shape(3))
            .on(shape(1, 1025), shape(1025, 1), shape(1))
            .on(shape(31), shape(31, 7), shape(7))
            .on(shape(3, 5).sliced(), shape(5, 7).sliced(), shape(7).broadcast())
            .reducing(),
        OpCase.of("linear.plain", (x, w) -> x.linear(w, null))
            .on(shape(3, 33), shape(33, 7))
            .on(shape(2, 5, 31).sliced(), shape(31, 7).transposed())
            .reducing(),
        activated("linear.relu", Unary.RELU),
        activated("linear.geluTanh", Unary.GELU_TANH),
        activated("linear.gelu", Unary.GELU_ERF),
        activated("linear.silu", Unary.SILU),
        activated("linear.tanh", Unary.TANH),
        activated("linear.sigmoid", Unary.SIGMOID));
  }

  private static OpCase activated(String name, Unary activation) {
    return OpCase.of(name, (x, w, bias) -> x.linear(w, bias, activation))
        .on(shape(3, 33), shape(33, 7), shape(7))
        .on(shape(2, 5, 31).sliced(), shape(31, 129).transposed(), shape(129))
        .reducing()
        .roundings(2);
  }

  private static List<OpCase> convolutions() {
    Conv2dOptions plain = Conv2dOptions.DEFAULT;
    return List.of(
        convolution("conv2d", plain)
            .on(shape(2, 3, 9, 7), shape(5, 3, 3, 3), shape(5))
            .on(shape(1, 1, 1, 31), shape(1, 1, 1, 3), shape(1))
            .on(shape(3, 7, 5, 3).transposed(), shape(13, 7, 1, 1), shape(13))
            .on(shape(2, 1, 28, 28), shape(33, 1, 5, 5), shape(33))
            .on(shape(5, 33, 7, 7).sliced(), shape(17, 33, 3, 3).sliced(), shape(17).sliced())
            .on(shape(1, 129, 3, 4), shape(7, 129, 3, 4), shape(7))
            .on(shape(2, 2, 1, 7), shape(31, 2, 1, 7).transposed(), shape(31))
            .on(shape(0, 3, 5, 5), shape(2, 3, 3, 3), shape(2))
            .on(shape(2, 3, 5, 5), shape(0, 3, 3, 3), shape(0)),
        convolution("conv2d.padded", plain.withPadding(1))
            .on(shape(2, 3, 9, 7), shape(5, 3, 3, 3), shape(5))
            .on(shape(9, 1, 14, 14), shape(16, 1, 3, 3), shape(16))
            .on(shape(3, 4, 1, 1), shape(5, 4, 3, 3), shape(5))
            .on(shape(2, 3, 5, 129), shape(7, 3, 1, 2), shape(7)),
        convolution("conv2d.widelyPadded", plain.withPadding(Extent.of(4, 3)))
            .on(shape(2, 3, 5, 4), shape(5, 3, 3, 2), shape(5)),
        convolution("conv2d.strided", plain.withStride(2).withPadding(1))
            .on(shape(2, 3, 11, 8), shape(5, 3, 3, 2), shape(5))
            .on(shape(3, 2, 7, 31), shape(33, 2, 1, 1), shape(33)),
        convolution("conv2d.stridedUnevenly", plain.withStride(Extent.of(3, 1)))
            .on(shape(2, 3, 12, 7), shape(5, 3, 2, 3), shape(5)),
        convolution("conv2d.dilated", plain.withDilation(2).withPadding(2))
            .on(shape(1, 2, 13, 10), shape(3, 2, 3, 3), shape(3)),
        convolution(
                "conv2d.dilatedAndStrided",
                plain.withDilation(Extent.of(2, 3)).withStride(2).withPadding(Extent.of(0, 3)))
            .on(shape(2, 3, 9, 11), shape(4, 3, 3, 2), shape(4)),
        convolution("conv2d.groups", plain.withGroups(3).withPadding(1))
            .on(shape(2, 6, 7, 5), shape(9, 2, 3, 3), shape(9)),
        convolution("conv2d.depthwise", plain.withGroups(7).withPadding(1).withStride(2))
            .on(shape(2, 7, 9, 9), shape(7, 1, 3, 3), shape(7)),
        OpCase.of("unfold2d", x -> x.unfold2d(Extent.of(3, 2), plain.withPadding(1)))
            .on(shape(2, 3, 9, 7), shape(1, 7, 5, 31).transposed(), shape(0, 3, 5, 5))
            .reducing(),
        OpCase.of(
                "unfold2d.dilatedAndStrided",
                x -> x.unfold2d(Extent.of(2, 3), plain.withDilation(Extent.of(3, 2)).withStride(2)))
            .on(shape(2, 3, 9, 7), shape(3, 33, 5, 6).sliced())
            .reducing(),
        OpCase.of("conv2d.plain", (x, w) -> x.conv2d(w, null))
            .on(shape(2, 3, 6, 7), shape(5, 3, 3, 3))
            .on(shape(1, 1, 1, 5), shape(1, 1, 1, 3))
            .reducing());
  }

  private static OpCase convolution(String name, Conv2dOptions options) {
    return OpCase.of(name, (x, w, bias) -> x.conv2d(w, bias, options)).reducing();
  }

  private static List<OpCase> pools() {
    Pool2dOptions wide = Pool2dOptions.of(3).withStride(2).withPadding(1);
    Pool2dOptions uneven = Pool2dOptions.of(Extent.of(2, 5)).withStride(Extent.of(1, 3));
    Input[] images = {
      shape(2, 3, 9, 7),
      shape(1, 7, 8, 31).transposed(),
      shape(3, 2, 7, 129).sliced(),
      shape(2, 3, 5, 6).broadcast(),
      shape(0, 3, 5, 5),
    };
    Input edges = shape(1, 2, 5, 5).values(Input.EXTREMES);
    Input ties = shape(1, 2, 6, 6).values(1, 2, 2, 2, 1, 3, 3);
    return List.of(
        OpCase.of("maxPool2d", x -> x.maxPool2d(2))
            .on(images)
            .on(edges, ties, shape(2, 33, 28, 28)),
        OpCase.of("maxPool2d.padded", x -> x.maxPool2d(wide)).on(images).on(edges, ties),
        OpCase.of("maxPool2d.uneven", x -> x.maxPool2d(uneven)).on(images).on(edges, ties),
        OpCase.of("maxPool2d.ties", x -> truncated(x).maxPool2d(wide))
            .on(images)
            .withoutDifferences(),
        OpCase.of("avgPool2d", x -> x.avgPool2d(2)).on(images).on(shape(2, 33, 28, 28)),
        OpCase.of("avgPool2d.padded", x -> x.avgPool2d(wide)).on(images),
        OpCase.of("avgPool2d.uneven", x -> x.avgPool2d(uneven)).on(images));
  }

  private static List<OpCase> views() {
    return List.of(
        OpCase.of("transpose", x -> x.transpose()).on(shape(3, 33), shape(2, 3, 7).sliced()),
        OpCase.of("swapAxes", x -> x.swapAxes(0, -1)).on(shape(3, 5, 7), shape(1, 129)),
        OpCase.of("permute", x -> x.permute(2, 0, 1)).on(shape(3, 5, 7), shape(2, 0, 7)),
        OpCase.of("reshape", x -> x.reshape(-1, 3))
            .on(shape(3, 33), shape(6, 7).transposed(), shape(33).sliced(), shape(3, 1025)),
        OpCase.of("flatten", x -> x.flatten())
            .on(shape(3, 33), shape(5, 7).transposed(), shape(0), shape()),
        OpCase.of("expand", x -> x.expand(4, 3, 7)).on(shape(3, 1), shape(7), shape(1, 3, 7)),
        OpCase.of("slice", x -> x.slice(-1, 1, 6))
            .on(shape(3, 7), shape(2, 3, 129), shape(7, 7).transposed()),
        OpCase.of("select", x -> x.select(1, -2)).on(shape(3, 7), shape(5, 2, 33).sliced()),
        OpCase.of("split", x -> Tensor.concat(1, reversed(x.split(1, 3))))
            .on(shape(3, 7), shape(5, 9).transposed(), shape(2, 3, 31)),
        OpCase.of("squeeze", x -> x.squeeze(1)).on(shape(3, 1, 7), shape(3, 1).sliced()),
        OpCase.of("unsqueeze", x -> x.unsqueeze(-1)).on(shape(3, 7), shape(5, 7).transposed()),
        OpCase.of("concat", (a, b, c) -> Tensor.concat(-1, a, b, c))
            .on(shape(3, 33), shape(3, 1).sliced(), shape(3, 7).transposed())
            .on(shape(1), shape(0), shape(1025)),
        OpCase.of("concat.first", (a, b) -> Tensor.concat(0, a, b))
            .on(shape(3, 33), shape(2, 33).broadcast())
            .on(shape(0, 7), shape(1, 7)),
        OpCase.of("concat.integers", (a, b) -> Tensor.concat(0, a, b))
            .on(integers(7), integers(33))
            .withoutGradient(),
        OpCase.of("stack", (a, b) -> Tensor.stack(1, a, b))
            .on(shape(3, 33), shape(3, 33).sliced())
            .on(shape(7), shape(7)),
        OpCase.of("contiguous", x -> x.contiguous())
            .on(shape(3, 33), shape(33, 3).transposed(), shape(4, 7).broadcast()),
        OpCase.of("copy", x -> x.copy()).on(ANY).on(EXTREMES),
        OpCase.of("copy.integers", x -> x.copy()).on(integers(7, 5).transposed()).withoutGradient(),
        OpCase.of("copy.flags", x -> x.copy()).on(flags(7, 5).transposed()).withoutGradient(),
        OpCase.of("detach", x -> x.detach()).on(FEW).withoutGradient());
  }

  private static List<OpCase> indexing() {
    return List.of(
        OpCase.of("gather", (x, indices) -> x.gather(-1, indices))
            .on(shape(3, 33), shape(3, 7).indices(33))
            .on(shape(7, 5).transposed(), shape(7, 129).indices(5))
            .on(shape(3, 7), shape(3, 0).indices(7))
            .on(shape(4, 7).broadcast(), shape(4, 9).sliced().indices(7)),
        OpCase.of("gather.first", (x, indices) -> x.gather(0, indices))
            .on(shape(33, 7), shape(129, 7).indices(33))
            .on(shape(5, 1025), shape(2, 1025).indices(5)),
        OpCase.of("gather.integers", (x, indices) -> x.gather(0, indices))
            .on(integers(33), shape(7).indices(33))
            .withoutGradient(),
        OpCase.of("scatterAdd", (x, indices, source) -> x.scatterAdd(0, indices, source))
            .on(shape(7, 5), shape(33, 5).indices(7), shape(33, 5))
            .on(shape(7, 5), shape(3, 5).indices(7), shape(3, 5).transposed())
            .on(shape(9, 3, 2), shape(129, 3, 2).indices(9), shape(129, 3, 2).sliced())
            .on(shape(5), shape(0).indices(5), shape(0))
            .reducing()
            .roundings(2),
        OpCase.of("scatterAdd.last", (x, indices, source) -> x.scatterAdd(-1, indices, source))
            .on(shape(2, 129), shape(2, 1025).indices(129), shape(2, 1025))
            .reducing()
            .roundings(2),
        OpCase.of("indexSelect", (x, indices) -> x.indexSelect(1, indices))
            .on(shape(3, 33), shape(7).indices(33))
            .on(shape(2, 5, 7).sliced(), shape(31).indices(5))
            .on(shape(3, 7), shape(0).indices(7)),
        OpCase.of("embedding", Tensor::embedding)
            .on(shape(11, 5), shape(2, 7).indices(11))
            .on(shape(33, 129), shape(31).indices(33))
            .on(shape(7, 1025), shape(3).indices(7))
            .on(shape(3, 1), shape(127).indices(3))
            .on(shape(5, 7), shape(0).indices(5))
            .on(shape(9, 7).transposed(), shape(3, 3).transposed().indices(9))
            .reducing(),
        OpCase.of("oneHot", x -> x.oneHot(33))
            .on(shape(3, 7).indices(33), shape().indices(33), shape(0).indices(33))
            .withoutGradient());
  }

  private static List<OpCase> normalisations() {
    Input[] edges = {
      shape(2, 4).values(1e4, -1e4, 0, Double.NEGATIVE_INFINITY),
      shape(2, 3).values(Double.NEGATIVE_INFINITY),
      shape(2, 5).values(1, Double.NaN, 3, 4, 5, 6, 7)
    };
    return List.of(
        OpCase.of("softmax", x -> x.softmax(-1)).on(ROWS).on(edges).reducing(),
        OpCase.of("softmax.first", x -> x.softmax(0)).on(ROWS).reducing(),
        OpCase.of("softmax.middle", x -> x.softmax(-2)).on(shape(2, 33, 7), shape(3, 1, 31)),
        OpCase.of("logSoftmax", x -> x.logSoftmax(-1)).on(ROWS).on(edges).reducing(),
        OpCase.of("logSoftmax.first", x -> x.logSoftmax(0)).on(ROWS).reducing(),
        OpCase.of("layerNorm", (x, w, b) -> x.layerNorm(w, b, 1e-5))
            .on(shape(3, 33), shape(33), shape(33))
            .on(shape(2, 5, 129), shape(129), shape(129).sliced())
            .on(shape(7, 31).transposed(), shape(31), shape(31))
            .on(shape(2, 1025), shape(1025), shape(1025))
            .on(shape(129, 7), shape(7), shape(7))
            .on(shape(0, 7), shape(7), shape(7))
            .on(shape(31), shape(31), shape(31))
            .on(shape(5, 3, 7).sliced(), shape(3, 7), shape(3, 7))
            .on(shape(2, 4).values(1e4, -1e4, 1, 2), shape(4), shape(4))
            .reducing(),
        OpCase.of("layerNorm.weight", (x, w) -> x.layerNorm(w, null, 1e-5))
            .on(shape(3, 33), shape(33))
            .reducing(),
        OpCase.of("layerNorm.bias", (x, b) -> x.layerNorm(null, b, 1e-5))
            .on(shape(3, 33), shape(33))
            .reducing(),
        OpCase.of("layerNorm.plain", x -> x.layerNorm(1, 1e-5))
            .on(shape(3, 33), shape(7, 129), shape(1, 2))
            .reducing(),
        OpCase.of("layerNorm.axes", x -> x.layerNorm(2, 1e-5))
            .on(shape(2, 3, 33), shape(5, 7).transposed())
            .reducing(),
        OpCase.ofAll("addLayerNorm", 4, x -> addLayerNorm(x))
            .on(shape(3, 33), shape(3, 33), shape(33), shape(33))
            .on(shape(2, 5, 129), shape(2, 5, 129), shape(129), shape(129).sliced())
            .on(shape(7, 31).transposed(), shape(7, 31).sliced(), shape(31), shape(31))
            .on(shape(2, 1025), shape(2, 1025), shape(1025), shape(1025))
            .on(shape(129, 7), shape(129, 7), shape(7), shape(7))
            .on(shape(0, 7), shape(0, 7), shape(7), shape(7))
            .on(shape(31), shape(31), shape(31), shape(31))
            .on(shape(5, 3, 7), shape(5, 3, 7), shape(3, 7), shape(3, 7))
            .on(shape(2, 4).values(1e4, -1e4, 1, 2), shape(2, 4), shape(4), shape(4))
            .roundings(2)
            .reducing(),
        OpCase.of("addLayerNorm.product", (x, a) -> product(x.addLayerNorm(a, null, null, 1e-5)))
            .on(shape(3, 33), shape(3, 33))
            .on(shape(7, 129), shape(7, 129).transposed())
            .roundings(2)
            .reducing(),
        OpCase.of("addLayerNorm.sum", (x, a) -> sum(x.addLayerNorm(a, null, null, 1e-5)))
            .on(shape(3, 33), shape(3, 33))
            .roundings(2)
            .reducing(),
        OpCase.of("batchNorm", (x, w, b) -> x.batchNorm(w, b, 1e-5).values())
            .on(shape(7, 33), shape(33), shape(33))
            .on(shape(2, 3, 5, 7), shape(3), shape(3))
            .on(shape(9, 17, 1, 1), shape(17), shape(17).sliced())
            .on(shape(3, 129, 2, 4).transposed(), shape(129), shape(129))
            .on(shape(1025, 2), shape(2), shape(2))
            .on(shape(2, 1, 31, 33).sliced(), shape(1), shape(1))
            .on(shape(0, 3, 5), shape(3), shape(3))
            .on(shape(4, 2).values(1e4, -1e4, 1, 2), shape(2), shape(2))
            .on(shape(4, 2).values(1000, 1001, 1002, 1003), shape(2), shape(2))
            .reducingAll(),
        OpCase.of("batchNorm.weight", (x, w) -> x.batchNorm(w, null, 1e-5).values())
            .on(shape(5, 3, 7), shape(3))
            .reducingAll(),
        OpCase.of("batchNorm.bias", (x, b) -> x.batchNorm(null, b, 1e-5).values())
            .on(shape(5, 3, 7), shape(3))
            .reducingAll(),
        OpCase.of("batchNorm.mean", x -> x.batchNorm(null, null, 1e-5).mean())
            .on(shape(5, 3, 7), shape(129, 7))
            .reducingAll()
            .withoutGradient(),
        OpCase.of("batchNorm.variance", x -> x.batchNorm(null, null, 1e-5).variance())
            .on(shape(5, 3, 7), shape(129, 7))
            .reducingAll()
            .withoutGradient(),
        OpCase.ofAll(
                "batchNorm.given",
                5,
                x -> x.get(0).batchNorm(x.get(1), x.get(2), x.get(3), x.get(4), 1e-5))
            .on(shape(7, 33), shape(33), shape(33), shape(33), shape(33).between(0.5, 2))
            .on(shape(2, 3, 5, 7), shape(3), shape(3), shape(3), shape(3).between(0.5, 2))
            .reducingAll()
            .roundings(6),
        OpCase.of("rmsNorm", (x, w) -> x.rmsNorm(w, 1e-5))
            .on(shape(3, 33), shape(33))
            .on(shape(2, 5, 129).sliced(), shape(129))
            .on(shape(7, 31).transposed(), shape(31))
            .on(shape(2, 1025), shape(1025))
            .on(shape(0, 7), shape(7))
            .on(shape(5, 3, 7), shape(3, 7))
            .on(shape(2, 4).values(1e4, -1e4, 1, 2), shape(4))
            .reducing(),
        OpCase.of("rmsNorm.plain", x -> x.rmsNorm(null, 1e-5))
            .on(shape(3, 33), shape(7, 129), shape(5, 1).between(0.5, 2))
            .reducing());
  }

  // Both results, the sum before the norm.
  private static Tensor addLayerNorm(List<Tensor> x) {
    Residual y = x.get(0).addLayerNorm(x.get(1), x.get(2), x.get(3), 1e-5);
    return Tensor.concat(0, y.sum(), y.normal());
  }

  // Gradients of both that are held nowhere else.
  private static Tensor product(Residual x) {
    return x.sum().mul(x.normal());
  }

  // One array is the gradient of both.
  private static Tensor sum(Residual x) {
    return x.sum().add(x.normal());
  }

  private static List<OpCase> attention() {
    return List.of(
        OpCase.of("attention", (q, k, v) -> Tensor.attention(q, k, v, AttentionSpec.CAUSAL))
            .on(shape(2, 3, 13, 5), shape(2, 3, 13, 5), shape(2, 3, 13, 5))
            .on(shape(1, 2, 33, 16), shape(1, 2, 33, 16), shape(1, 2, 33, 16))
            .on(shape(1, 1, 129, 7), shape(1, 1, 129, 7), shape(1, 1, 129, 7))
            .on(shape(1, 1, 1, 7), shape(1, 1, 1, 7), shape(1, 1, 1, 7))
            .on(shape(1, 2, 5, 4), shape(1, 2, 9, 4), shape(1, 2, 9, 3))
            .on(shape(1, 2, 9, 4), shape(1, 2, 5, 4), shape(1, 2, 5, 4))
            .on(shape(0, 2, 5, 4), shape(0, 2, 5, 4), shape(0, 2, 5, 4))
            .on(shape(2, 2, 7, 5).transposed(), shape(2, 2, 7, 5).sliced(), shape(2, 2, 7, 5))
            .reducing(),
        OpCase.of("attention.full", (q, k, v) -> Tensor.attention(q, k, v, AttentionSpec.FULL))
            .on(shape(2, 3, 13, 5), shape(2, 3, 13, 5), shape(2, 3, 13, 5))
            .on(shape(1, 2, 7, 33), shape(1, 2, 127, 33), shape(1, 2, 127, 31))
            .on(shape(1, 1, 1, 4), shape(1, 1, 1025, 4), shape(1, 1, 1025, 4))
            .on(shape(1, 1, 3, 4), shape(1, 1, 0, 4), shape(1, 1, 0, 4))
            .reducing(),
        OpCase.of(
                "attention.heads",
                (q, k, v) ->
                    Tensor.attention(
                            q.swapAxes(1, 2),
                            k.swapAxes(1, 2),
                            v.swapAxes(1, 2),
                            AttentionSpec.CAUSAL.withScale(0.3))
                        .swapAxes(1, 2))
            .on(shape(2, 13, 3, 8), shape(2, 13, 3, 8), shape(2, 13, 3, 8))
            .reducing(),
        OpCase.ofAll(
                "attention.masked",
                4,
                x ->
                    Tensor.attention(
                        x.get(0), x.get(1), x.get(2), AttentionSpec.FULL.withMask(x.get(3))))
            .on(shape(2, 3, 13, 5), shape(2, 3, 7, 5), shape(2, 3, 7, 5), flags(2, 3, 13, 7))
            .on(shape(2, 3, 13, 5), shape(2, 3, 7, 5), shape(2, 3, 7, 5), flags(2, 1, 1, 7))
            .on(shape(1, 2, 33, 8), shape(1, 2, 33, 8), shape(1, 2, 33, 8), flags(33, 33))
            .on(shape(1, 1, 35, 4), shape(1, 1, 261, 4), shape(1, 1, 261, 4), flags(35, 261))
            .on(
                shape(1, 1, 5, 4),
                shape(1, 1, 7, 4),
                shape(1, 1, 7, 4),
                flags(1, 1, 1, 7).nothing())
            .reducing(),
        OpCase.ofAll(
                "attention.causalMasked",
                4,
                x ->
                    Tensor.attention(
                        x.get(0), x.get(1), x.get(2), AttentionSpec.CAUSAL.withMask(x.get(3))))
            .on(shape(2, 2, 13, 5), shape(2, 2, 13, 5), shape(2, 2, 13, 5), flags(2, 1, 1, 13))
            .reducing(),
        OpCase.of(
                "attention.dropout",
                (q, k, v) ->
                    random(
                        q,
                        generator ->
                            Tensor.attention(
                                q, k, v, AttentionSpec.CAUSAL.withDropout(0.25, generator))))
            .on(shape(2, 3, 13, 5), shape(2, 3, 13, 5), shape(2, 3, 13, 5))
            .on(shape(1, 2, 33, 8), shape(1, 2, 33, 8), shape(1, 2, 33, 8))
            .on(shape(1, 1, 35, 4), shape(1, 1, 261, 4), shape(1, 1, 261, 4))
            .roundings(2) // the output that its gradient reads, and what tensor cores multiply
            .reducing(),
        OpCase.ofAll(
                "attention.maskedDropout",
                4,
                x ->
                    random(
                        x.get(0),
                        generator ->
                            Tensor.attention(
                                x.get(0),
                                x.get(1),
                                x.get(2),
                                AttentionSpec.FULL
                                    .withMask(x.get(3))
                                    .withDropout(0.25, generator))))
            .on(shape(2, 2, 13, 5), shape(2, 2, 7, 5), shape(2, 2, 7, 5), flags(2, 1, 13, 7))
            .roundings(2) // likewise
            .reducing(),
        OpCase.of("selfAttention", x -> Tensor.selfAttention(x, 3, AttentionSpec.CAUSAL))
            .on(shape(2, 13, 36), shape(1, 33, 72), shape(1, 1, 9), shape(2, 31, 36).sliced())
            .reducing(),
        OpCase.of(
                "selfAttention.dropout",
                x ->
                    random(
                        x,
                        generator ->
                            Tensor.selfAttention(
                                x, 2, AttentionSpec.CAUSAL.withDropout(0.25, generator))))
            .on(shape(2, 13, 24))
            .reducing());
  }

  private static List<OpCase> losses() {
    LossOptions sum = LossOptions.DEFAULT.withReduction(Reduction.SUM);
    LossOptions none = LossOptions.DEFAULT.withReduction(Reduction.NONE);
    LossOptions smooth = LossOptions.DEFAULT.withSmoothing(0.1).withIgnoreIndex(3);
    Input partlyIgnored = shape(11).integers(4, -100, 0, 16, 3, -100, 1);
    return List.of(
        OpCase.of("crossEntropy", (x, targets) -> x.crossEntropy(targets))
            .on(shape(11, 17), shape(11).indices(17))
            .on(shape(11, 17), partlyIgnored)
            .on(shape(2, 3, 33), shape(2, 3).indices(33))
            .on(shape(33, 129).transposed(), shape(33).indices(129))
            .on(shape(2, 1025), shape(2).indices(1025))
            .on(shape(5, 1), shape(5).indices(1))
            .on(shape(2, 4).values(1e4, -1e4, 0, 3), shape(2).indices(4))
            .reducing(),
        OpCase.of("crossEntropy.sum", (x, targets) -> x.crossEntropy(targets, sum))
            .on(shape(11, 17), partlyIgnored)
            .on(shape(0, 17), shape(0).indices(17))
            .reducing(),
        OpCase.of("crossEntropy.none", (x, targets) -> x.crossEntropy(targets, none))
            .on(shape(11, 17), partlyIgnored)
            .on(shape(2, 3, 7), shape(2, 3).indices(7))
            .on(shape(0, 17), shape(0).indices(17))
            .reducing(),
        OpCase.of("crossEntropy.smooth", (x, targets) -> x.crossEntropy(targets, smooth))
            .on(shape(11, 17), shape(11).integers(3, 4, 5, 16, 0))
            .on(shape(7, 129), shape(7).indices(129))
            .reducing(),
        OpCase.of(
                "linearCrossEntropy",
                (x, w, targets) -> x.linearCrossEntropy(w, targets, LossOptions.DEFAULT))
            .on(shape(11, 7), shape(7, 17), partlyIgnored)
            .on(shape(2, 3, 33), shape(33, 129), shape(2, 3).indices(129))
            .on(shape(31, 9).transposed(), shape(9, 33).transposed(), shape(31).indices(33))
            .reducing()
            .roundings(2),
        OpCase.of(
                "linearCrossEntropy.sum",
                (x, w, targets) -> x.linearCrossEntropy(w, targets, sum.withSmoothing(0.2)))
            .on(shape(11, 7), shape(7, 17), partlyIgnored)
            .reducing()
            .roundings(2),
        OpCase.of(
                "linearCrossEntropy.none",
                (x, w, targets) -> x.linearCrossEntropy(w, targets, none))
            .on(shape(11, 7), shape(7, 17), partlyIgnored)
            .reducing()
            .roundings(2),
        OpCase.of(
                "binaryCrossEntropyWithLogits",
                (x, targets) -> x.binaryCrossEntropyWithLogits(targets))
            .on(shape(3, 33), shape(3, 33).between(0, 1))
            .on(shape(129).between(-20, 20), shape(129).between(0, 1))
            .reducingAll()
            .roundings(4),
        OpCase.of(
                "binaryCrossEntropyWithLogits.none",
                (x, targets) -> x.binaryCrossEntropyWithLogits(targets, Reduction.NONE))
            .on(shape(3, 33), shape(3, 33).between(0, 1))
            .on(shape(6).values(1e4, -1e4, 0, 50, -50, 1), shape(6).between(0, 1))
            .roundings(3),
        OpCase.of("meanSquaredError", (x, targets) -> x.meanSquaredError(targets))
            .on(shape(3, 33), shape(3, 33))
            .on(shape(2, 1025), shape(2, 1025).sliced())
            .reducingAll()
            .roundings(3),
        OpCase.of(
                "meanSquaredError.sum", (x, targets) -> x.meanSquaredError(targets, Reduction.SUM))
            .on(shape(3, 33), shape(3, 33))
            .reducingAll()
            .roundings(3));
  }

  private static List<OpCase> sampling() {
    return List.of(
        OpCase.of("dropout", x -> random(x, generator -> x.dropout(0.25, generator))).on(ANY),
        OpCase.of("dropout.none", x -> random(x, generator -> x.dropout(0, generator))).on(FEW),
        OpCase.of(
                "dropout.recomputed", (a, b) -> random(a, generator -> recomputed(a, b, generator)))
            .on(shape(3, 33), shape(3, 33))
            .on(shape(2, 129), shape(129))
            .on(shape(5, 7).transposed(), shape(5, 7).sliced())
            .roundings(4),
        OpCase.of("multinomial", x -> random(x, x::multinomial))
            .on(shape(33, 7).between(0, 1), shape(129).between(0, 1), shape(3, 1025).between(0, 1))
            .on(shape(31, 5).between(0, 1).transposed(), shape(2, 5, 3).between(0, 1))
            .on(shape(0, 7).between(0, 1))
            .withoutGradient()
            .notInHalves(),
        OpCase.of("topK", x -> x.topK(3).values())
            .on(shape(3, 33), shape(7, 31).transposed(), shape(2, 1025), shape(0, 7), shape(3))
            .on(shape(2, 10).values(Input.EXTREMES)),
        OpCase.of("topK.indices", x -> x.topK(3).indices())
            .on(shape(3, 33), shape(2, 1025), shape(2, 10).values(Input.EXTREMES))
            .withoutGradient(),
        OpCase.of("sort", x -> x.sort(false).values())
            .on(ROWS)
            .on(shape(2, 10).values(Input.EXTREMES)),
        OpCase.of("sort.first", x -> x.sort(0, true).values()).on(ROWS),
        OpCase.of("argsort", x -> x.argsort(1, false))
            .on(shape(3, 33), shape(5, 129, 7).sliced(), shape(2, 10).values(Input.EXTREMES))
            .withoutGradient(),
        OpCase.of("sort.indices", x -> x.sort(true).indices())
            .on(ROWS)
            .on(shape(2, 10).values(Input.EXTREMES))
            .withoutGradient());
  }

  // Parameters, gradients and what the optimiser keeps.
  private static List<OpCase> optimizers() {
    Input[] slots = {
      shape(7), shape(7), shape(7), shape(7).between(0, 1),
      shape(1), shape(1), shape(1), shape(1).between(0, 1),
      shape(0), shape(0), shape(0), shape(0).between(0, 1),
      shape(33, 31), shape(33, 31), shape(33, 31), shape(33, 31).between(0, 1),
      shape(2, 1025), shape(2, 1025), shape(2, 1025), shape(2, 1025).between(0, 1),
    };
    float[] adamW = AdamWFactors.of(1e-2, 0.9, 0.95, 1e-8, 0.1, 3);
    return List.of(
        OpCase.ofAll("adamW", 4, x -> adamW(x, adamW, 0.75))
            .on(slots)
            .withoutGradient()
            .notInHalves(),
        OpCase.ofAll("adamW.copy", 4, x -> adamWCopy(DType.BF16, x, adamW, 0.75))
            .on(slots)
            .withoutGradient()
            .notInHalves(),
        OpCase.ofAll("adamW.copyF16", 4, x -> adamWCopy(DType.F16, x, adamW, 0.75))
            .on(slots)
            .withoutGradient()
            .notInHalves(),
        OpCase.ofAll("adamW.copyNotFinite", 4, x -> adamWCopy(DType.BF16, x, adamW, Double.NaN))
            .on(slots)
            .withoutGradient()
            .notInHalves(),
        OpCase.ofAll("adamW.notFinite", 4, x -> adamW(x, adamW, Double.NaN))
            .on(slots)
            .withoutGradient()
            .notInHalves(),
        OpCase.of("sgd", (p, g, v) -> sgd(p, g, v, SgdFactors.of(0.1, 0.9, 0.01, false)))
            .on(triples(slots))
            .withoutGradient()
            .notInHalves(),
        OpCase.of("sgd.copy", (p, g, v) -> sgdCopy(DType.BF16, p, g, v))
            .on(triples(slots))
            .withoutGradient()
            .notInHalves(),
        OpCase.of("sgd.copyF16", (p, g, v) -> sgdCopy(DType.F16, p, g, v))
            .on(triples(slots))
            .withoutGradient()
            .notInHalves(),
        OpCase.of("sgd.nesterov", (p, g, v) -> sgd(p, g, v, SgdFactors.of(0.1, 0.9, 0, true)))
            .on(triples(slots))
            .withoutGradient()
            .notInHalves(),
        OpCase.of("globalNorm", (a, b) -> globalNorm(a, b))
            .on(shape(7), shape(33, 129))
            .on(shape(0), shape(1))
            .on(shape(2, 1025), shape())
            .on(EXTREMES, shape(3))
            .reducing()
            .withoutGradient()
            .notInHalves(),
        OpCase.of("clipScale", norm -> clipScale(norm))
            .on(shape().between(0, 0.5), shape().between(5, 9))
            .on(shape().values(Double.NaN), shape().values(Double.POSITIVE_INFINITY))
            .withoutGradient()
            .notInHalves());
  }

  private static Input[] triples(Input... fours) {
    return IntStream.range(0, fours.length)
        .filter(i -> i % 4 != 3)
        .mapToObj(i -> fours[i])
        .toArray(Input[]::new);
  }

  private static Tensor adamW(List<Tensor> x, float[] factors, double scale) {
    List<Tensor> changed = copies(x);
    NdArray[] a = changed.stream().map(Tensor::array).toArray(NdArray[]::new);
    Backend backend = x.getFirst().backend();
    List<AdamWSlot> slots = List.of(new AdamWSlot(a[0], a[1], a[2], a[3]));
    backend.adamW(slots, numbers(x.getFirst(), factors).array(), scalar(x.getFirst(), scale));
    return Tensor.stack(0, changed.toArray(Tensor[]::new));
  }

  // How far the copy is from the rounded parameter (0), then the parameter. A parameter without a
  // copy stands beside it, for kernels that take several at once.
  private static Tensor adamWCopy(DType type, List<Tensor> x, float[] factors, double scale) {
    List<Tensor> changed = copies(x);
    List<Tensor> alone = copies(x);
    Tensor copy = x.getFirst().to(type);
    NdArray[] a = changed.stream().map(Tensor::array).toArray(NdArray[]::new);
    NdArray[] b = alone.stream().map(Tensor::array).toArray(NdArray[]::new);
    List<AdamWSlot> slots =
        List.of(
            new AdamWSlot(b[0], b[1], b[2], b[3]),
            new AdamWSlot(a[0], a[1], a[2], a[3], copy.array()));
    x.getFirst()
        .backend()
        .adamW(slots, numbers(x.getFirst(), factors).array(), scalar(x.getFirst(), scale));
    return Tensor.stack(0, distance(copy, changed.getFirst()), changed.getFirst());
  }

  private static Tensor sgdCopy(DType type, Tensor p, Tensor g, Tensor v) {
    float[] factors = SgdFactors.of(0.1, 0.9, 0.01, false);
    List<Tensor> changed = copies(List.of(p, g, v));
    Tensor copy = p.to(type);
    NdArray[] a = changed.stream().map(Tensor::array).toArray(NdArray[]::new);
    List<SgdSlot> slots = List.of(new SgdSlot(a[0], a[1], a[2], copy.array()));
    p.backend().sgd(slots, numbers(p, factors).array(), scalar(p, 0.75));
    return Tensor.stack(0, distance(copy, changed.getFirst()), changed.getFirst());
  }

  private static Tensor distance(Tensor copy, Tensor parameter) {
    Tensor rounded = parameter.to(copy.dtype());
    return copy.to(parameter.dtype()).sub(rounded.to(parameter.dtype()));
  }

  private static Tensor sgd(Tensor p, Tensor g, Tensor v, float[] factors) {
    List<Tensor> changed = copies(List.of(p, g, v));
    NdArray[] a = changed.stream().map(Tensor::array).toArray(NdArray[]::new);
    List<SgdSlot> slots = List.of(new SgdSlot(a[0], a[1], a[2]));
    p.backend().sgd(slots, numbers(p, factors).array(), scalar(p, 0.75));
    return Tensor.stack(0, changed.toArray(Tensor[]::new));
  }

  private static Tensor globalNorm(Tensor a, Tensor b) {
    Tensor norm = Tensors.on(a.backend()).zeros(a.dtype(), Shape.scalar());
    a.backend().globalNorm(List.of(a.array(), b.array()), norm.array());
    return norm;
  }

  private static Tensor clipScale(Tensor norm) {
    Tensor scale = norm.copy();
    norm.backend().clipScale(norm.array(), 2.5, scale.array());
    return scale;
  }

  private static List<Tensor> copies(List<Tensor> x) {
    return x.stream().map(Tensor::copy).toList();
  }

  private static Tensor numbers(Tensor like, float[] values) {
    double[] wide = IntStream.range(0, values.length).mapToDouble(i -> values[i]).toArray();
    return Tensors.on(like.backend()).of(wide, like.dtype(), Shape.of(values.length));
  }

  private static NdArray scalar(Tensor like, double value) {
    return Tensors.on(like.backend()).full(value, like.dtype(), Shape.scalar()).array();
  }

  private static List<OpCase> makingAndChanging() {
    return List.of(
        OpCase.of("to.self", x -> x.to(x.dtype())).on(FEW),
        OpCase.of("to.device", x -> x.to(x.backend())).on(FEW),
        OpCase.of("to.rounded", x -> x.to(DType.BF16)).on(ANY).on(EXTREMES).withoutDifferences(),
        OpCase.of("to.roundedF16", x -> x.to(DType.F16)).on(ANY).on(EXTREMES).withoutDifferences(),
        OpCase.of("to.integers", x -> x.to(DType.I32))
            .on(between(-99, 99, ANY))
            .on(shape(3).values(Double.NaN, 1e4, -1e4))
            .withoutGradient(),
        OpCase.of("to.flags", x -> x.to(DType.BOOL)).on(ANY).on(EXTREMES).withoutGradient(),
        OpCase.of("to.fromIntegers", x -> x.to(DType.F32)).on(integers(3, 33)).withoutGradient(),
        OpCase.of("to.fromFlags", x -> x.to(DType.F32)).on(flags(3, 33)).withoutGradient(),
        OpCase.of("zeros", x -> Tensors.on(x.backend()).zeros(x.dtype(), x.shape()))
            .on(FEW)
            .withoutGradient(),
        OpCase.of("ones", x -> Tensors.on(x.backend()).ones(x.dtype(), x.shape()))
            .on(FEW)
            .withoutGradient(),
        OpCase.of("full", x -> Tensors.on(x.backend()).full(-2.5, x.dtype(), x.shape()))
            .on(FEW)
            .withoutGradient(),
        OpCase.of("range", x -> Tensors.on(x.backend()).range(x.dtype(), -3, 0.5, x.elements()))
            .on(FEW)
            .withoutGradient(),
        OpCase.of("range.integers", x -> Tensors.on(x.backend()).range(DType.I32, 5, -2, 129))
            .on(shape())
            .withoutGradient(),
        OpCase.of(
                "randomUniform",
                x -> random(x, g -> Tensors.on(x.backend()).randomUniform(g, Shape.of(129))))
            .on(shape())
            .withoutGradient(),
        OpCase.of(
                "randomNormal",
                x -> random(x, g -> Tensors.on(x.backend()).randomNormal(g, 1, 2, Shape.of(129))))
            .on(shape())
            .withoutGradient(),
        OpCase.of("copyInPlace", (x, other) -> x.copy().copyInPlace(other))
            .on(shape(3, 33), shape(3, 33).transposed())
            .withoutGradient(),
        OpCase.of("addInPlace", (x, other) -> x.copy().addInPlace(other))
            .on(shape(3, 33), shape(3, 33).sliced())
            .withoutGradient(),
        OpCase.of("mulInPlace", x -> x.copy().mulInPlace(-0.7)).on(FEW).withoutGradient(),
        OpCase.of("fillInPlace", x -> x.copy().fillInPlace(0.1)).on(FEW).withoutGradient());
  }

  // ---- inputs

  private static Input[] each(UnaryOperator<Input> change, Input... inputs) {
    return Arrays.stream(inputs).map(change).toArray(Input[]::new);
  }

  private static Input[] between(double low, double high, Input... inputs) {
    return each(input -> input.between(low, high), inputs);
  }

  // The second of each pair.
  private static Input[] second(double low, double high, Input... pairs) {
    Input[] changed = pairs.clone();
    for (int i = 1; i < pairs.length; i += 2) {
      changed[i] = pairs[i].between(low, high);
    }
    return changed;
  }

  private static Input[] without0(Input... inputs) {
    return Arrays.stream(inputs)
        .filter(input -> input.shape().elements() > 0)
        .toArray(Input[]::new);
  }

  private static Input integers(long... dims) {
    return shape(dims).integers(3, -4, 0, 7, 4, 1, -1, 100_000);
  }

  private static Input flags(long... dims) {
    return shape(dims).flags();
  }

  // ---- functions

  private static Tensor random(Tensor x, Function<Generator, Tensor> function) {
    try (var generator = new Generator(x.backend(), 42)) {
      return function.apply(generator);
    }
  }

  // Computed again in backward, with the same elements dropped.
  private static Tensor recomputed(Tensor a, Tensor b, Generator generator) {
    return Recompute.apply(
            x -> List.of(x.get(0).tanh().dropout(0.25, generator).mul(x.get(1)).sigmoid()),
            List.of(a, b),
            generator)
        .getFirst();
  }

  // The whole numbers towards 0, with the gradient of x.
  private static Tensor truncated(Tensor x) {
    Tensor values = x.detach();
    return x.sub(values).add(values.to(DType.I32).to(x.dtype()));
  }

  private static Tensor[] reversed(List<Tensor> parts) {
    return parts.reversed().toArray(Tensor[]::new);
  }
}
