package fornax.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.Shape;
import fornax.conformance.GradCheck;
import fornax.conformance.Input;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class RecomputeTest extends Fixture {
  private Generator generator;

  @BeforeEach
  void seed() {
    generator = new Generator(backend, 5);
  }

  @AfterEach
  void closeGenerator() {
    generator.close();
  }

  private Tensor random(long... dims) {
    return tensors.randomUniform(generator, Shape.of(dims));
  }

  /// Two results that share work, with two draws of dropout.
  private List<Tensor> part(Tensor w, List<Tensor> x) {
    try (var scope = Scope.open()) {
      Tensor h = x.get(0).matmul(w).tanh().dropout(0.25, generator);
      Tensor sum = h.add(x.get(1));
      return scope.keep(List.of(sum, sum.softmax(-1).dropout(0.5, generator)));
    }
  }

  /// The gradients of a, b and w behind three parts in a row, and how much was live at most.
  private List<double[]> gradients(boolean recompute) {
    try (var _ = Scope.open()) {
      generator.setStep(0);
      Tensor a = random(4, 6).requiresGrad(true);
      Tensor b = random(4, 6).requiresGrad(true);
      Tensor w = random(6, 6).requiresGrad(true);
      generator.setStep(3);
      List<Tensor> x = List.of(a, b);
      for (int i = 0; i < 3; i++) {
        x = recompute ? Recompute.apply(in -> part(w, in), x, generator) : part(w, x);
      }
      Tensor loss = x.get(0).mul(x.get(1)).dropout(0.1, generator).sum();
      loss.backward();
      List<double[]> all = new ArrayList<>();
      all.add(loss.toDoubleArray());
      for (Tensor leaf : List.of(a, b, w)) {
        all.add(grad(leaf));
      }
      return all;
    }
  }

  @Test
  void gradients_areTheSameBits() {
    List<double[]> plain = gradients(false);
    List<double[]> again = gradients(true);
    for (int i = 0; i < plain.size(); i++) {
      assertArrayEquals(plain.get(i), again.get(i));
    }
  }

  @Test
  void gradients_areThoseOfDifferences() {
    GradCheck.check(
        "recompute",
        x ->
            Recompute.apply(
                    in -> List.of(in.get(0).matmul(in.get(1)).tanh(), in.get(0).exp()),
                    x,
                    generator)
                .getFirst(),
        Input.shape(3, 4),
        Input.shape(4, 2));
  }

  @Test
  void anOutputWithoutAGradient_isLeftOut() {
    Tensor x = leaf(2, 3);
    List<Tensor> y =
        Recompute.apply(in -> List.of(in.get(0).square(), in.get(0)), List.of(x), generator);
    y.get(0).sum().backward();
    assertArrayEquals(new double[] {4, 6}, grad(x));
    assertTrue(y.get(1).requiresGrad());
  }

  @Test
  void backward_callsTheBodyOnceMore() {
    Tensor x = leaf(2, 3);
    int[] calls = {0};
    Tensor y =
        Recompute.apply(
                in -> {
                  calls[0]++;
                  return List.of(in.get(0).exp());
                },
                List.of(x),
                generator)
            .getFirst();
    assertEquals(1, calls[0]);
    y.sum().backward();
    assertEquals(2, calls[0]);
  }

  @Test
  void withoutRecording_theBodyIsCalledAsItIs() {
    Tensor x = leaf(2, 3);
    try (var _ = GradMode.noGrad()) {
      assertSame(x, Recompute.apply(in -> in, List.of(x), generator).getFirst());
    }
  }

  @Test
  void whatLiesBetween_isNotHeld() {
    try (var _ = Scope.open()) {
      Tensor x = random(1000).requiresGrad(true);
      long before = backend.memory().stats().live();
      Tensor y =
          Recompute.apply(
                  in -> {
                    try (var scope = Scope.open()) {
                      return List.of(scope.keep(in.get(0).exp().sin().tanh().sigmoid()));
                    }
                  },
                  List.of(x),
                  generator)
              .getFirst();
      assertEquals(before + y.array().bytes(), backend.memory().stats().live());
      y.sum().backward();
      x.zeroGrad();
      y.close();
    }
  }

  @Test
  void memory_comesBackWithAndWithoutBackward() {
    long before = backend.memory().stats().live();
    var _ = gradients(true);
    try (var _ = Scope.open()) {
      Tensor x = random(4, 6).requiresGrad(true);
      List<Tensor> _ = Recompute.apply(in -> part(random(6, 6), in), List.of(x, x), generator);
    }
    assertEquals(before, backend.memory().stats().live());
  }

  @Test
  void anErrorInBackward_leavesNothingBehind() {
    long before = backend.memory().stats().live();
    int[] calls = {0};
    try (var _ = Scope.open()) {
      Tensor x = random(4, 6).requiresGrad(true);
      List<Tensor> y =
          Recompute.apply(
              in -> {
                if (calls[0]++ > 0) {
                  throw new IllegalStateException("no more");
                }
                return List.of(in.get(0).exp(), in.get(0).tanh());
              },
              List.of(x),
              generator);
      Tensor loss = y.get(0).add(y.get(1)).sum();
      assertEquals(
          "no more", assertThrows(IllegalStateException.class, loss::backward).getMessage());
    }
    assertEquals(before, backend.memory().stats().live());
  }

  @Test
  void randomState_mayNotMoveOnBeforeBackward() {
    Tensor x = leaf(2, 3);
    Tensor y =
        Recompute.apply(in -> List.of(in.get(0).dropout(0.5, generator)), List.of(x), generator)
            .getFirst();
    generator.setStep(1);
    IllegalStateException e = assertThrows(IllegalStateException.class, y.sum()::backward);
    assertSays("a value that recompute needs was changed in place", e);
  }
}
