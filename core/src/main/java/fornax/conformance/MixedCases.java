package fornax.conformance;

import static fornax.conformance.Input.shape;

import fornax.backend.Conv2dOptions;
import fornax.backend.Unary;
import fornax.tensor.LossOptions;
import fornax.tensor.Tensor;
import java.util.List;

/// Operations as a model in mixed precision uses them: activations of 16 bits meet the copies of
/// parameters, and norms' parameters and biases in F32. Parameters' gradients are F32.
final class MixedCases {
  private MixedCases() {}

  static List<OpCase> all() {
    return List.of(
        OpCase.of("linear.mixed", (x, w, bias) -> x.linear(w, bias))
            .on(shape(3, 33), shape(33, 7).parameter(), shape(7).inF32())
            .on(shape(129, 31), shape(31, 127).transposed().parameter(), shape(127).inF32())
            .on(shape(2, 5, 31).sliced(), shape(31, 129).parameter(), shape(129).inF32())
            .on(shape(1025, 13), shape(13, 9).parameter(), shape(9).inF32())
            .on(shape(1, 129), shape(129, 33).parameter(), shape(33).inF32())
            .on(shape(7, 129).transposed(), shape(129, 1).parameter(), shape(1).inF32())
            .on(shape(0, 7), shape(7, 3).parameter(), shape(3).inF32())
            .reducing()
            .mixed(),
        OpCase.of("linear.mixedPlain", (x, w) -> x.linear(w, null))
            .on(shape(3, 33), shape(33, 7).parameter())
            .on(shape(5, 31), shape(31, 65).transposed().parameter())
            .on(shape(130, 300), shape(300, 70).parameter())
            .reducing()
            .mixed(),
        activated("linear.mixedRelu", Unary.RELU),
        activated("linear.mixedGeluTanh", Unary.GELU_TANH),
        activated("linear.mixedGelu", Unary.GELU_ERF),
        activated("linear.mixedSilu", Unary.SILU),
        OpCase.of("linear.mixedF32", (x, w) -> x.linear(w, null))
            .on(shape(3, 33), shape(33, 7).inF32())
            .on(shape(3, 33).inF32(), shape(33, 7))
            .reducing()
            .mixed(),
        OpCase.of("matmul.mixed", Tensor::matmul)
            .on(shape(5, 7), shape(7, 13).parameter())
            .on(shape(3, 5, 33), shape(33, 7).parameter())
            .on(shape(3, 5, 7), shape(3, 7, 13).inF32())
            .on(shape(5, 33).inF32(), shape(3, 33, 7))
            .on(shape(1, 129), shape(129, 33).transposed().parameter())
            .reducing()
            .roundings(2) // the gradient of what is broadcast over the batch
            .mixed(),
        OpCase.of("add.mixed", Tensor::add)
            .on(shape(2, 7, 33), shape(7, 33).parameter())
            .on(shape(2, 7, 33), shape(33).inF32())
            .on(shape(7, 33), shape(7, 33).parameter())
            .mixed(),
        OpCase.of("slice.mixed", x -> x.slice(0, 1, 5).add(x.slice(0, 2, 6)))
            .on(shape(7, 33).parameter())
            .mixed(),
        OpCase.of("embedding.mixed", Tensor::embedding)
            .on(shape(11, 5).parameter(), shape(2, 7).indices(11))
            .on(shape(33, 129).parameter(), shape(31).indices(33))
            .on(shape(3, 33).parameter(), shape(127).indices(3))
            .on(shape(7, 1025).parameter(), shape(3).indices(7))
            .on(shape(5, 7).parameter(), shape(0).indices(5))
            .reducing()
            .mixed(),
        OpCase.of("addLayerNorm.mixed", (x, w, b) -> x.addLayerNorm(x, w, b, 1e-5).normal())
            .on(shape(3, 33), shape(33).inF32(), shape(33).inF32())
            .on(shape(130, 31), shape(31).inF32(), shape(31).inF32())
            .reducing()
            .roundings(2) // the sum and its norm
            .mixed(),
        OpCase.of("layerNorm.mixed", (x, w, b) -> x.layerNorm(w, b, 1e-5))
            .on(shape(3, 33), shape(33).inF32(), shape(33).inF32())
            .on(shape(2, 5, 129), shape(129).inF32(), shape(129).sliced().inF32())
            .on(shape(130, 31), shape(31).inF32(), shape(31).inF32())
            .on(shape(2, 1025), shape(1025).inF32(), shape(1025).inF32())
            .on(shape(0, 7), shape(7).inF32(), shape(7).inF32())
            .reducing()
            .mixed(),
        OpCase.of("conv2d.mixed", (x, w, bias) -> x.conv2d(w, bias, Conv2dOptions.DEFAULT))
            .on(shape(2, 3, 7, 8), shape(4, 3, 3, 3).parameter(), shape(4).inF32())
            .on(shape(1, 5, 9, 5), shape(7, 5, 1, 2).parameter(), shape(7).inF32())
            .reducingAll()
            .mixed(),
        OpCase.of("batchNorm.mixed", (x, w, b) -> x.batchNorm(w, b, 1e-5).values())
            .on(shape(3, 4, 5, 7), shape(4).inF32(), shape(4).inF32())
            .reducingAll()
            .mixed(),
        OpCase.of("rmsNorm.mixed", (x, w) -> x.rmsNorm(w, 1e-5))
            .on(shape(3, 33), shape(33).inF32())
            .on(shape(130, 31), shape(31).inF32())
            .reducing()
            .mixed(),
        OpCase.of(
                "linearCrossEntropy.mixed",
                (x, w, targets) -> x.linearCrossEntropy(w, targets, LossOptions.DEFAULT))
            .on(shape(11, 7), shape(7, 17).parameter(), shape(11).indices(17))
            .on(shape(2, 3, 33), shape(33, 129).parameter(), shape(2, 3).indices(129))
            .on(shape(31, 9), shape(9, 33).transposed().parameter(), shape(31).indices(33))
            .reducing()
            .roundings(3) // the logits, and their gradient
            .mixed());
  }

  private static OpCase activated(String name, Unary activation) {
    return OpCase.of(name, (x, w, bias) -> x.linear(w, bias, activation))
        .on(shape(3, 33), shape(33, 7).parameter(), shape(7).inF32())
        .on(shape(2, 5, 31).sliced(), shape(31, 129).transposed().parameter(), shape(129).inF32())
        .reducing()
        .roundings(3) // what the activation is applied to, its result, and their gradient
        .mixed();
  }
}
