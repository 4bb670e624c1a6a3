package fornax.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Conv2dOptions;
import fornax.backend.Pool2dOptions;
import fornax.backend.reference.ReferenceBackend;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

class TensorErrorsTest extends Fixture {
  private Tensor floats(long... dims) {
    return tensors.zeros(DType.F32, Shape.of(dims));
  }

  private Tensor ints(long... dims) {
    return tensors.zeros(DType.I32, Shape.of(dims));
  }

  private void check(String message, Supplier<Tensor> wrong) {
    RuntimeException e = assertThrows(RuntimeException.class, wrong::get);
    assertEquals(message, e.getMessage());
  }

  @TestFactory
  Stream<DynamicTest> messages() {
    return Stream.of(
        wrong(
            "matmul: inner dimensions differ: a [32, 64] · b [128, 10] (64 ≠ 128); need a's last size equal to b's last but one",
            () -> floats(32, 64).matmul(floats(128, 10))),
        wrong(
            "matmul: inner dimensions differ: a [32, 64] · b [10, 64] (64 ≠ 10); did you mean b.transpose()?",
            () -> floats(32, 64).matmul(floats(10, 64))),
        wrong(
            "add: shapes do not broadcast; got a [2, 3] and b [2, 4]; need equal sizes or 1 at axis -1 (3 ≠ 4)",
            () -> floats(2, 3).add(floats(2, 4))),
        wrong(
            "add: shapes do not broadcast; got a [3, 4] and b [3]; need equal sizes or 1 at axis -1 (4 ≠ 3); did you mean b.reshape(3, 1)?",
            () -> floats(3, 4).add(floats(3))),
        wrong(
            "softmax: axis outside the array; got axis 2 of [2, 3]; need -2 <= axis < 2",
            () -> floats(2, 3).softmax(2)),
        wrong(
            "softmax: needs floating elements; got I32 [2]; need F32, BF16 or F16; convert with to(F32)",
            () -> ints(2).softmax(0)),
        wrong(
            "reshape: different number of elements; got [2, 3] (6) to [4, 2] (8)",
            () -> floats(2, 3).reshape(4, 2)),
        wrong(
            "reshape: no size fits the -1; got [2, 3] (6) to [4, -1]; need 4 to divide 6",
            () -> floats(2, 3).reshape(4, -1)),
        wrong(
            "linear: x and w do not fit; got x [5, 3] and w [4, 3]; need x [.., K] and w [K, M]; did you mean w.transpose()?",
            () -> floats(5, 3).linear(floats(4, 3), null)),
        wrong(
            "concat: shapes differ outside axis 0; got [2, 3] and [2, 4]; need equal sizes everywhere else",
            () -> Tensor.concat(0, floats(2, 3), floats(2, 4))),
        wrong(
            "embedding: wrong type of the indices; got F32 [2]; need I32",
            () -> floats(3, 2).embedding(floats(2))),
        wrong(
            "crossEntropy: logits and targets do not fit; got logits [4, 7] and targets [5]; need logits [.., classes] and targets [..]",
            () -> floats(4, 7).crossEntropy(ints(5))),
        wrong(
            "selfAttention: not queries, keys and values of all heads; got [1, 4, 10] for 2 heads; need [B, T, 3·heads·D]",
            () -> Tensor.selfAttention(floats(1, 4, 10), 2, AttentionSpec.CAUSAL)),
        wrong(
            "layerNorm: weight or bias does not fit; got [4] for x [2, 3]; need [3]",
            () -> floats(2, 3).layerNorm(floats(4), null, 1e-5)),
        wrong(
            "addLayerNorm: different shapes; got x [2, 3] and addend [3]; need one shape; expand the smaller one",
            () -> floats(2, 3).addLayerNorm(floats(3), null, null, 1e-5).sum()),
        wrong(
            "add: types do not fit; got a F32 [2] and b I32 [2]; need one type; convert with to(...)",
            () -> floats(2).add(ints(2))),
        wrong(
            "where: wrong type of the condition; got F32 [2]; need BOOL",
            () -> floats(2).where(floats(2), floats(2))),
        wrong(
            "conv2d: x and w do not fit; got x [2, 3, 5, 5] and w [4, 2, 3, 3] in 1 group; need x"
                + " [N, C, H, W] and w [O, C/groups, h, w] with groups a divisor of O",
            () -> floats(2, 3, 5, 5).conv2d(floats(4, 2, 3, 3), null)),
        wrong(
            "conv2d: bias and w do not fit; got bias [3] and w [4, 3, 3, 3]; need bias [4]",
            () -> floats(2, 3, 5, 5).conv2d(floats(4, 3, 3, 3), floats(3))),
        wrong(
            "conv2d: the filter is larger than the padded image; got x [2, 3, 2, 5], filter 3×3,"
                + " padding 0×0, dilation 1×1; need a smaller filter or more padding",
            () -> floats(2, 3, 2, 5).conv2d(floats(4, 3, 3, 3), null)),
        wrong(
            "conv2d: options out of range; got stride 0×0, padding 0×0, dilation 1×1, groups 1;"
                + " need stride, dilation and groups of at least 1, and padding of at least 0",
            () ->
                floats(2, 3, 5, 5)
                    .conv2d(floats(4, 3, 3, 3), null, Conv2dOptions.DEFAULT.withStride(0))),
        wrong(
            "maxPool2d: images without pixels; got [2, 3, 0, 5]; need at least one row and one"
                + " column",
            () -> floats(2, 3, 0, 5).maxPool2d(Pool2dOptions.of(3).withPadding(1))),
        wrong("dropout: probability outside [0, 1); got 1.0", this::certainDropout));
  }

  private Tensor certainDropout() {
    try (var generator = new Generator(backend, 0)) {
      return floats(2).dropout(1, generator);
    }
  }

  private DynamicTest wrong(String message, Supplier<Tensor> call) {
    return DynamicTest.dynamicTest(
        message,
        () -> {
          try (var _ = Scope.open()) {
            check(message, call);
          }
        });
  }

  @Test
  void devicesDoNotMix() {
    try (Backend other = new ReferenceBackend();
        var _ = Scope.open()) {
      Tensor there = Tensors.on(other).zeros(DType.F32, Shape.of(2));
      check(
          "add: tensors on different devices; got reference and reference; need one device; move one with to(backend)",
          () -> floats(2).add(there));
    }
  }

  @Test
  void item_needsOneElement() {
    assertThrows(fornax.array.ShapeException.class, () -> floats(2).item());
  }
}
