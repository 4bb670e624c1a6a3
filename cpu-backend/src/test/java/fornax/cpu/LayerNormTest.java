package fornax.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import fornax.backend.Backend;
import fornax.backend.Binary;
import fornax.backend.NdArray;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// What is fused gives the bits of its parts, so that a model trains to the same weights with it.
final class LayerNormTest {
  private enum Form {
    PARTS,
    FUSED,
    IN_PLACE
  }

  @ParameterizedTest
  @CsvSource({"1, 1", "5, 33", "200, 131", "3, 1025"})
  void addLayerNorm_hasTheBitsOfAdditionAndLayerNorm(long rows, long columns) {
    int[] parts = bits(Form.PARTS, rows, columns);
    assertArrayEquals(parts, bits(Form.FUSED, rows, columns));
    assertArrayEquals(parts, bits(Form.IN_PLACE, rows, columns), "dx over skip");
  }

  private static int[] bits(Form form, long rows, long columns) {
    try (Backend b = new CpuBackend(2);
        var t = new Trial(b, 7)) {
      NdArray x = t.in(rows, columns);
      NdArray addend = t.in(rows, columns);
      NdArray weight = t.in(columns);
      NdArray bias = t.in(columns);
      NdArray dy = t.in(rows, columns);
      NdArray skip = t.in(rows, columns);
      NdArray sum = t.out(rows, columns);
      NdArray y = t.out(rows, columns);
      NdArray mean = t.out(rows);
      NdArray rstd = t.out(rows);
      NdArray dx = t.out(rows, columns);
      NdArray dWeight = t.out(columns);
      NdArray dBias = t.out(columns);
      if (form == Form.PARTS) {
        b.binary(Binary.ADD, x, addend, sum);
        b.layerNorm(sum, weight, bias, 1e-5, y, mean, rstd);
        b.layerNormGradient(sum, weight, mean, rstd, dy, dx, dWeight, dBias, true);
        b.binary(Binary.ADD, skip, dx, dx);
      } else {
        b.addLayerNorm(x, addend, weight, bias, 1e-5, sum, y, mean, rstd);
        NdArray other = skip;
        if (form == Form.IN_PLACE) {
          b.copy(skip, dx);
          other = dx;
        }
        b.addLayerNormGradient(sum, weight, mean, rstd, dy, other, dx, dWeight, dBias, true);
      }
      float[] results = t.results();
      int[] bits = new int[results.length];
      for (int i = 0; i < bits.length; i++) {
        bits[i] = Float.floatToRawIntBits(results[i]);
      }
      return bits;
    }
  }
}
