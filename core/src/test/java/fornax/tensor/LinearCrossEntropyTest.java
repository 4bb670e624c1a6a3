package fornax.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import java.lang.reflect.Proxy;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

/// The loss in chunks of rows against the loss of all logits, which has rules of its own.
class LinearCrossEntropyTest extends Fixture {
  private static final int CLASSES = 5;
  private static final long ROWS_PER_CHUNK = 3;

  /// The losses, and the gradients of x and w.
  private List<double[]> run(
      boolean chunks, int rows, LossOptions options, UnaryOperator<Tensor> f) {
    Tensors on = Tensors.on(smallChunks());
    Tensor x =
        on.range(DType.F64, -1, 0.25, 2L * rows).reshape(rows, 2).detach().requiresGrad(true);
    Tensor w = on.range(DType.F64, -2, 0.5, 2 * CLASSES).reshape(CLASSES, 2).detach();
    int[] classes = new int[rows];
    for (int i = 0; i < rows; i++) {
      classes[i] = i == 1 ? options.ignoreIndex() : 2 * i % CLASSES;
    }
    Tensor targets = on.of(classes, Shape.of(rows));
    Tensor table = w.requiresGrad(true);
    Tensor head = table.transpose();
    Tensor loss =
        chunks
            ? x.linearCrossEntropy(head, targets, options)
            : x.matmul(head).crossEntropy(targets, options);
    f.apply(loss).backward();
    return List.of(loss.toDoubleArray(), grad(x), grad(table));
  }

  private Backend smallChunks() {
    return (Backend)
        Proxy.newProxyInstance(
            Backend.class.getClassLoader(),
            new Class<?>[] {Backend.class},
            (proxy, method, arguments) ->
                switch (method.getName()) {
                  case "chunkElements" -> ROWS_PER_CHUNK * CLASSES;
                  case "equals" -> proxy == arguments[0];
                  default -> method.invoke(backend, arguments);
                });
  }

  private void assertSame(int rows, LossOptions options, UnaryOperator<Tensor> f) {
    List<double[]> expected = run(false, rows, options, f);
    List<double[]> actual = run(true, rows, options, f);
    for (int i = 0; i < expected.size(); i++) {
      assertArrayEquals(expected.get(i), actual.get(i), 1e-12);
    }
  }

  @Test
  void chunks_addUpToTheWhole() {
    assertSame(8, LossOptions.DEFAULT, loss -> loss);
    assertSame(8, LossOptions.DEFAULT.withReduction(Reduction.SUM), loss -> loss);
    assertSame(2, LossOptions.DEFAULT.withSmoothing(0.1), loss -> loss);
  }

  /// The share of a row in the loss times a class's probability has few bits in F16.
  @Test
  void manyClassesAndRows_keepTheirBitsInF16() {
    int classes = 1000;
    int rows = 256;
    Tensors on = Tensors.on(backend);
    Tensor x = on.ones(DType.F16, Shape.of(rows, 1)).requiresGrad(true);
    Tensor w = on.zeros(DType.F32, Shape.of(1, classes)).requiresGrad(true);
    Tensor _ = w.keepWorkingCopy(DType.F16);
    Tensor targets = on.of(new int[rows], Shape.of(rows));
    x.linearCrossEntropy(w.working(), targets, LossOptions.DEFAULT).backward();
    double[] dw = grad(w);
    for (int c = 0; c < classes; c++) {
      assertEquals(c == 0 ? 1.0 / classes - 1 : 1.0 / classes, dw[c], 0x1p-11 * Math.abs(dw[c]));
    }
    w.close();
  }

  @Test
  void anotherGradientThanOne_multiplies() {
    assertSame(8, LossOptions.DEFAULT, loss -> loss.mul(-3));
    assertSame(8, LossOptions.DEFAULT, loss -> loss.square());
  }

  @Test
  void withoutRows_theGradientIsZero() {
    assertSame(0, LossOptions.DEFAULT.withReduction(Reduction.SUM), loss -> loss);
  }

  @Test
  void ignoredTargetsAlone_giveNoGradient() {
    Tensor x = leaf(1, 2).reshape(1, 2).detach().requiresGrad(true);
    Tensor w = matrix(2, CLASSES).detach().requiresGrad(true);
    Tensor targets = tensors.of(new int[] {LossOptions.DEFAULT.ignoreIndex()}, Shape.of(1));
    x.linearCrossEntropy(w, targets, LossOptions.DEFAULT).backward();
    assertArrayEquals(new double[2], grad(x));
    assertArrayEquals(new double[2 * CLASSES], grad(w));
  }
}
