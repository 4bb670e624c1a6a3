package fornax.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.Shape;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class GeneratorTest extends Fixture {
  @Test
  void dropout_dependsOnSeedStepAndStreamAlone() {
    Tensor x = tensors.ones(DType.F32, Shape.of(1000));
    try (var first = new Generator(backend, 7);
        var second = new Generator(backend, 7)) {
      double[] a = x.dropout(0.25, first).toDoubleArray();
      double[] other = x.dropout(0.25, first).toDoubleArray();
      assertFalse(Arrays.equals(a, other));
      assertArrayEquals(a, x.dropout(0.25, second).toDoubleArray());
      first.setStep(5);
      assertFalse(Arrays.equals(a, x.dropout(0.25, first).toDoubleArray()));
      first.setStep(0);
      assertArrayEquals(a, x.dropout(0.25, first).toDoubleArray());
      long dropped = Arrays.stream(a).filter(v -> v == 0).count();
      assertTrue(dropped > 200 && dropped < 300, "dropped " + dropped);
      assertEquals(1 / 0.75, Arrays.stream(a).max().orElseThrow(), 1e-6);
    }
  }

  @Test
  void stepBetweenForwardAndBackward_isAnError() {
    try (var generator = new Generator(backend, 7)) {
      Tensor y = leaf(1, 2, 3).dropout(0.5, generator).sum();
      generator.setStep(1);
      assertThrows(IllegalStateException.class, y::backward);
    }
  }

  @Test
  void normals_haveTheMomentsOfANormalDistribution() {
    float[] values = HostRandom.normals(1, 0, 0, 100_001);
    double mean = 0;
    double square = 0;
    double fourth = 0;
    for (float v : values) {
      mean += v;
      square += (double) v * v;
      fourth += (double) v * v * v * v;
    }
    int n = values.length;
    assertEquals(0, mean / n, 0.01);
    assertEquals(1, square / n, 0.015);
    assertEquals(3, fourth / n, 0.1);
  }

  @Test
  void multinomial_drawsByWeight() {
    Tensor weights =
        tensors.of(new double[] {0, 1, 3}, DType.F32, Shape.of(3)).reshape(1, 3).expand(4000, 3);
    try (var generator = new Generator(backend, 3)) {
      int[] drawn = weights.multinomial(generator).toIntArray();
      long[] counts = new long[3];
      for (int index : drawn) {
        counts[index]++;
      }
      assertEquals(0, counts[0]);
      assertEquals(1000.0, counts[1], 100);
    }
  }
}
