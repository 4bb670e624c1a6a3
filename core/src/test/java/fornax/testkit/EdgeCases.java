package fornax.testkit;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.AdamWFactors;
import fornax.backend.AdamWSlot;
import fornax.backend.Backend;
import fornax.backend.Conv2dOptions;
import fornax.backend.Extent;
import fornax.backend.Pool2dOptions;
import fornax.backend.Unary;
import fornax.optim.AdamW;
import fornax.optim.GradientClip;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.optim.Sgd;
import fornax.tensor.AttentionSpec;
import fornax.tensor.GradMode;
import fornax.tensor.Reduction;
import fornax.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/// Operations of the public API with arguments that may be anything: for [EdgeFuzz].
final class EdgeCases {
  /// An operation by name.
  record Case(String name, Function<EdgeInputs, @Nullable Tensor> run) {}

  private EdgeCases() {}

  private static Case of(String name, Function<EdgeInputs, @Nullable Tensor> run) {
    return new Case(name, run);
  }

  static List<Case> all() {
    return List.of(elementwise(), shapes(), indices(), fused(), images(), others()).stream()
        .flatMap(List::stream)
        .toList();
  }

  private static List<Case> elementwise() {
    return List.of(
        of("add", in -> in.tensor().add(in.tensor())),
        of("add.fitting", in -> in.pair((a, b) -> a.add(b))),
        of("sub", in -> in.pair((a, b) -> a.sub(b))),
        of("mul", in -> in.pair((a, b) -> a.mul(b))),
        of("div", in -> in.pair((a, b) -> a.div(b))),
        of("pow", in -> in.pair((a, b) -> a.pow(b))),
        of("maximum", in -> in.pair((a, b) -> a.maximum(b))),
        of("eq", in -> in.pair((a, b) -> a.eq(b))),
        of("lt", in -> in.pair((a, b) -> a.lt(b))),
        of("add.number", in -> in.tensor().add(in.number())),
        of("pow.number", in -> in.tensor().pow(in.number())),
        of("eq.number", in -> in.tensor().eq(in.number())),
        of("clamp", in -> in.tensor().clamp(in.number(), in.number())),
        of("exp", in -> in.tensor().exp()),
        of("gelu", in -> in.tensor().gelu()),
        of("sin", in -> in.tensor().sin()),
        of("neg", in -> in.tensor().neg()),
        of("sign", in -> in.tensor().sign()),
        of("not", in -> in.tensor().not()),
        of("and", in -> in.pair((a, b) -> a.and(b))),
        of("where", in -> in.tensor().where(in.tensor(), in.tensor())),
        of("where.fitting", in -> in.pair((a, b) -> a.ne(0).where(a, b))),
        of("maskedFill", in -> in.pair((a, b) -> a.maskedFill(b.eq(0), in.number()))),
        of("to", in -> in.tensor().to(in.type())),
        of("to.device", in -> in.tensor().to(in.device())));
  }

  private static List<Case> shapes() {
    return List.of(
        of("reshape", in -> in.tensor().reshape(in.sizes())),
        of("expand", in -> in.tensor().expand(in.sizes())),
        of("expand.copy", in -> in.repeated().copy()),
        of("expand.add", in -> in.repeated().add(1)),
        of("permute", in -> in.tensor().permute(in.axes())),
        of("swapAxes", in -> in.tensor().swapAxes(in.axis(), in.axis())),
        of("slice", in -> in.tensor().slice(in.axis(), in.place(), in.place())),
        of("select", in -> in.tensor().select(in.axis(), in.place())),
        of("split", in -> Tensor.concat(in.axis(), in.split())),
        of("squeeze", in -> in.tensor().squeeze(in.axis())),
        of("unsqueeze", in -> in.tensor().unsqueeze(in.axis())),
        of("concat", in -> Tensor.concat(in.axis(), in.tensor(), in.tensor())),
        of("stack", in -> in.pair((a, b) -> Tensor.stack(in.axis(), a, b))),
        of("contiguous", in -> in.tensor().contiguous()),
        of("sum", in -> in.tensor().sum(in.axis())),
        of("mean", in -> in.tensor().mean(in.axes())),
        of("max", in -> in.tensor().max(in.axis())),
        of("min.all", in -> in.tensor().min()),
        of("argmax", in -> in.tensor().argmax(in.axis())),
        of("variance", in -> in.tensor().variance(in.axis())),
        of("logSumExp", in -> in.tensor().logSumExp(in.axis())),
        of("cumulativeSum", in -> in.tensor().cumulativeSum(in.axis())),
        of("sort", in -> in.tensor().sort(in.axis(), in.flag()).indices()),
        of("topK", in -> in.tensor().topK(in.small()).values()),
        of("zeros", in -> in.on().zeros(in.type(), Shape.of(in.sizes()))),
        of("full", in -> in.on().full(in.number(), in.type(), Shape.of(in.sizes()))),
        of("range", in -> in.on().range(in.type(), in.number(), in.number(), in.place())),
        of("of", in -> in.on().of(new float[in.few()], Shape.of(in.sizes()))),
        of("from.closed", EdgeCases::fromClosed));
  }

  // A segment whose memory is gone.
  private static Tensor fromClosed(EdgeInputs in) {
    MemorySegment segment;
    try (Arena arena = Arena.ofConfined()) {
      segment = arena.allocate(64L);
    }
    return in.on().from(segment, DType.F32, Shape.of(16));
  }

  private static List<Case> indices() {
    return List.of(
        of("gather", in -> in.tensor().gather(in.axis(), in.tensor())),
        of("gather.fitting", EdgeInputs::gathered),
        of("scatterAdd", in -> in.tensor().scatterAdd(in.axis(), in.tensor(), in.tensor())),
        of("scatterAdd.fitting", EdgeInputs::scattered),
        of("indexSelect", in -> in.tensor().indexSelect(in.axis(), in.indices())),
        of("embedding", in -> in.matrix().embedding(in.indices())),
        of("embedding.any", in -> in.tensor().embedding(in.tensor())),
        of("oneHot", in -> in.indices().oneHot(in.place())),
        of("crossEntropy", in -> in.tensor().crossEntropy(in.tensor(), in.lossOptions())),
        of("crossEntropy.fitting", in -> in.logits((x, t) -> x.crossEntropy(t, in.lossOptions()))),
        of(
            "linearCrossEntropy",
            in -> in.logits((x, t) -> x.linearCrossEntropy(in.matrix(), t, in.lossOptions()))),
        of("multinomial", in -> in.tensor().multinomial(in.generator())),
        of("dropout", in -> in.tensor().dropout(in.probability(), in.generator())));
  }

  private static List<Case> fused() {
    return List.of(
        of("matmul", in -> in.tensor().matmul(in.tensor())),
        of("matmul.fitting", in -> in.product(Tensor::matmul)),
        of("linear", in -> in.tensor().linear(in.tensor(), in.tensor())),
        of("linear.fitting", in -> in.product((x, w) -> x.linear(w, in.vector(w.dim(-1))))),
        of(
            "linear.gelu",
            in -> in.product((x, w) -> x.linear(w, in.vector(w.dim(-1)), Unary.GELU_TANH))),
        of("softmax", in -> in.tensor().softmax(in.axis())),
        of("logSoftmax", in -> in.tensor().logSoftmax(in.axis())),
        of("layerNorm", in -> in.rows(x -> x.layerNorm(in.like(x), in.like(x), in.number()))),
        of("layerNorm.axes", in -> in.tensor().layerNorm(in.small(), in.number())),
        of(
            "addLayerNorm",
            in -> in.pair((a, b) -> a.addLayerNorm(b, in.vector(a.dim(-1)), null, 1e-5).normal())),
        of("rmsNorm", in -> in.rows(x -> x.rmsNorm(in.like(x), in.number()))),
        of(
            "batchNorm",
            in -> {
              Tensor x = in.tensor();
              return x.batchNorm(in.vector(x.dim(1)), in.vector(x.dim(1)), 1e-5).values();
            }),
        of("attention", in -> Tensor.attention(in.heads(), in.heads(), in.heads(), in.attention())),
        of(
            "attention.any",
            in -> Tensor.attention(in.tensor(), in.tensor(), in.tensor(), AttentionSpec.FULL)),
        of("selfAttention", in -> Tensor.selfAttention(in.packed(), in.small(), in.attention())),
        of("cosineSimilarity", in -> in.pair((a, b) -> a.cosineSimilarity(b, in.axis()))),
        of(
            "binaryCrossEntropy",
            in -> in.pair((a, b) -> a.binaryCrossEntropyWithLogits(b, Reduction.NONE))),
        of("meanSquaredError", in -> in.pair((a, b) -> a.meanSquaredError(b))));
  }

  private static List<Case> images() {
    return List.of(
        of("conv2d", in -> in.images().conv2d(in.filters(), null, in.convolution())),
        of("conv2d.any", in -> in.tensor().conv2d(in.tensor(), in.tensor(), Conv2dOptions.DEFAULT)),
        of("unfold2d", in -> in.images().unfold2d(in.extent(), in.convolution())),
        of("maxPool2d", in -> in.images().maxPool2d(in.pool())),
        of("avgPool2d", in -> in.images().avgPool2d(in.pool())),
        of("maxPool2d.window", in -> in.tensor().maxPool2d(Pool2dOptions.of(in.window()))),
        of(
            "unfold2d.window",
            in ->
                in.images().unfold2d(Extent.of(in.window(), in.window()), Conv2dOptions.DEFAULT)));
  }

  private static List<Case> others() {
    return List.of(
        of("copyInPlace", in -> in.quietly((a, b) -> a.copyInPlace(b))),
        of("addInPlace", in -> in.quietly((a, b) -> a.addInPlace(b))),
        of("mulInPlace", in -> in.quietly((a, _) -> a.mulInPlace(in.number()))),
        of("fillInPlace", in -> in.quietly((a, _) -> a.fillInPlace(in.number()))),
        of("backward.seed", EdgeCases::seeded),
        of("adamW", EdgeCases::adamW),
        of("sgd", EdgeCases::sgd),
        of("adamW.slots", EdgeCases::slots),
        of("clip", EdgeCases::clip),
        of("keepWorkingCopy", in -> in.tensor().keepWorkingCopy(in.type())));
  }

  private static @Nullable Tensor seeded(EdgeInputs in) {
    Tensor x = in.tensor();
    Tensor y = x.mul(2);
    y.backward(in.flag() ? in.tensor() : in.like(y));
    return x.grad();
  }

  private static @Nullable Tensor adamW(EdgeInputs in) {
    Tensor p = in.parameter();
    try (var optimizer =
        new AdamW(
            List.of(new ParameterGroup(Map.of("p", p), in.number())),
            Schedule.constant(in.number()),
            AdamW.Options.DEFAULT)) {
      p.mul(p).sum().backward();
      optimizer.step();
      optimizer.step();
    }
    return p;
  }

  private static @Nullable Tensor sgd(EdgeInputs in) {
    Tensor p = in.parameter();
    try (var optimizer =
        new Sgd(
            List.of(new ParameterGroup(Map.of("p", p), in.number())),
            Schedule.constant(in.number()),
            in.number(),
            in.flag())) {
      p.sum().backward();
      optimizer.step();
    }
    return p;
  }

  // What the public contract of a backend allows: arrays of one shape, on the device, of its types.
  private static @Nullable Tensor slots(EdgeInputs in) {
    Backend device = in.backend();
    Tensor p = in.on().zeros(DType.F32, Shape.of(in.few()));
    Tensor g = in.on().ones(DType.F32, p.shape());
    Tensor m = in.on().zeros(DType.F32, p.shape());
    Tensor v = in.on().zeros(DType.F32, p.shape());
    Tensor copy = in.on().zeros(in.half(), p.shape());
    Tensor factors =
        in.on().of(AdamWFactors.of(1e-3, 0.9, 0.99, 1e-8, 0.1, 1), Shape.of(AdamWFactors.COUNT));
    Tensor scale = in.on().full(in.number(), DType.F32, Shape.scalar());
    device.adamW(
        List.of(
            new AdamWSlot(
                p.array(), g.array(), m.array(), v.array(), in.flag() ? copy.array() : null)),
        factors.array(),
        scale.array());
    return p;
  }

  private static @Nullable Tensor clip(EdgeInputs in) {
    Tensor p = in.parameter();
    try (var clip = GradientClip.byGlobalNorm(in.backend(), in.number());
        var _ = GradMode.withGrad()) {
      p.sum().backward();
      var _ = clip.scale(List.of(p, in.parameter()));
      var _ = clip.readNorm().getAsDouble();
    }
    return p;
  }
}
