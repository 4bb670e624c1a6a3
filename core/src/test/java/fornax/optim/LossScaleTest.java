package fornax.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.NdArray;
import fornax.backend.reference.ReferenceBackend;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class LossScaleTest {
  private final Backend backend = new ReferenceBackend();

  @AfterEach
  void close() {
    assertEquals(0, backend.memory().stats().live());
    backend.close();
  }

  private void step(LossScale scale, double check) {
    try (Tensor scalar = Tensors.on(backend).full(check, DType.F32, Shape.scalar())) {
      scale.update(scalar.array());
    }
  }

  @Test
  void scale_growsAfterGoodStepsAndHalvesAfterABadOne() {
    try (var scale = new LossScale(backend, new LossScale.Options(1024, 2, 0.5, 3))) {
      double[] checks = {1, 0.5, 1, 1, Double.NaN, 1, 1, Double.POSITIVE_INFINITY, 1, 1, 1, 1};
      double[] scales = {1024, 1024, 2048, 2048, 1024, 1024, 1024, 512, 512, 512, 1024, 1024};
      int[] good = {1, 2, 0, 1, 0, 1, 2, 0, 1, 2, 0, 1};
      for (int i = 0; i < checks.length; i++) {
        step(scale, checks[i]);
        assertEquals(new LossScale.State(scales[i], good[i]), scale.state(), "after step " + i);
      }
    }
  }

  @Test
  void scale_staysFromOneToTheLargestPowerOfTwo() {
    try (var scale = new LossScale(backend, new LossScale.Options(2, 4, 0.25, 1))) {
      step(scale, Double.NaN);
      assertEquals(1, scale.state().scale());
      for (int i = 0; i < 70; i++) {
        step(scale, 1);
      }
      assertEquals(0x1p127, scale.state().scale());
    }
  }

  @Test
  void state_goesOn() {
    var options = new LossScale.Options(1024, 2, 0.5, 3);
    try (var first = new LossScale(backend, options);
        var second = new LossScale(backend, options)) {
      step(first, Double.NaN);
      step(first, 1);
      step(first, 1);
      second.resume(first.state());
      step(first, 1);
      step(second, 1);
      assertEquals(new LossScale.State(1024, 0), first.state());
      assertEquals(first.state(), second.state());
    }
  }

  /// The bits of the gradients themselves, as powers of two are divided exactly.
  @Test
  void clip_dividesBeforeItClips() {
    for (double most : new double[] {Double.POSITIVE_INFINITY, 0.5}) {
      float[] plain = factorAndNorm(most, null);
      try (var scale = new LossScale(backend, LossScale.Options.DEFAULT)) {
        float[] scaled = factorAndNorm(most, scale);
        assertEquals(plain[0], scaled[0] * 65536);
        assertEquals(plain[1], scaled[1]);
      }
    }
  }

  private float[] factorAndNorm(double most, @Nullable LossScale scale) {
    try (var _ = Scope.open();
        var clip = GradientClip.byGlobalNorm(backend, most)) {
      Tensor p = Tensors.on(backend).of(new float[] {1, -2, 3}, Shape.of(3)).requiresGrad(true);
      Tensor loss = p.square().sum();
      if (scale == null) {
        loss.backward();
      } else {
        loss.backward(scale.seed());
      }
      NdArray factor = clip.scale(List.of(p), scale);
      float value = backend.readback(factor).await().get(ValueLayout.JAVA_FLOAT, 0);
      float norm = (float) clip.readNorm().getAsDouble();
      p.zeroGrad();
      return new float[] {value, norm};
    }
  }

  @Test
  void numbersOutOfRange_areRefused() {
    for (var wrong :
        List.<double[]>of(
            new double[] {0.5, 2, 0.5, 1},
            new double[] {Double.NaN, 2, 0.5, 1},
            new double[] {1, 0.5, 0.5, 1},
            new double[] {1, 2, 0, 1},
            new double[] {1, 2, 1.5, 1},
            new double[] {1, 2, 0.5, 0})) {
      var e =
          assertThrows(
              IllegalArgumentException.class,
              () -> new LossScale.Options(wrong[0], wrong[1], wrong[2], (int) wrong[3]));
      assertTrue(String.valueOf(e.getMessage()).startsWith("loss scale: not usable; got"));
    }
    assertThrows(IllegalArgumentException.class, () -> new LossScale.State(0, 1));
    assertThrows(IllegalArgumentException.class, () -> new LossScale.State(1, -1));
  }
}
