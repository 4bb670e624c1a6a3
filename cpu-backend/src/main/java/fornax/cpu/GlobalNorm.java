package fornax.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import fornax.array.DType;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import java.lang.foreign.MemorySegment;
import java.util.List;

/// The norm over all elements of many arrays, and the factor that clips it.
final class GlobalNorm {
  private GlobalNorm() {}

  static void norm(Workers workers, List<NdArray> arrays, NdArray y) {
    Chunks chunks = Chunks.of(arrays, NdArray::elements);
    double[] sums = new double[chunks.count()];
    chunks.parallel(
        workers,
        2,
        chunk -> {
          NdArray x = arrays.get(chunks.item(chunk));
          long first = chunks.start(chunk);
          int n = (int) Math.min(Chunks.LENGTH, x.elements() - first);
          sums[chunk] = sumSquares(x, first, n);
        });
    double sum = 0;
    for (double part : sums) {
      sum += part;
    }
    set(y, (float) Math.sqrt(sum));
  }

  private static double sumSquares(NdArray x, long first, int n) {
    MemorySegment data = HostBlock.segment(x);
    long place = x.layout().offset() + first;
    if (x.dtype() == DType.F32) {
      return RowKernels.dot(data, 4 * place, data, 4 * place, n);
    }
    MemorySegment words = Scratch.get().words(Scratch.ROWS, n);
    Words.read(x.dtype(), false, data, place, 1, n, words, 0);
    return RowKernels.dot(words, 0, words, 0, n);
  }

  static void clipScale(NdArray norm, double maxNorm, NdArray y) {
    float n = HostBlock.segment(norm).get(JAVA_FLOAT, 4 * norm.layout().offset());
    double scale = Math.min(1, maxNorm / (n + 1e-6)); // PyTorch's 1e-6
    set(y, Float.isFinite(n) ? (float) scale : Float.NaN);
  }

  private static void set(NdArray y, float value) {
    HostBlock.segment(y).set(JAVA_FLOAT, 4 * y.layout().offset(), value);
  }
}
