package fornax.cpu;

import com.google.errorprone.annotations.MustBeClosed;
import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Buffer;
import fornax.backend.NdArray;
import fornax.backend.Owner;
import java.util.ArrayList;
import java.util.List;

/// The operands of a product or of attention, whose kernels read F32 and BF16: those in F16 as F32
/// arrays beside them. Closing rounds what was written, once, and gives the arrays back.
///
/// F16 is for cards that have no BF16. Here it is right rather than fast: every product reads its
/// factors twice more.
final class F16Operands implements AutoCloseable {
  private final CpuBackend backend;
  private final List<Buffer> temporaries = new ArrayList<>(8);
  private final List<NdArray> results = new ArrayList<>(4);
  private final List<NdArray> sums = new ArrayList<>(4);

  @MustBeClosed
  F16Operands(CpuBackend backend) {
    this.backend = backend;
  }

  private NdArray floats(Shape shape) {
    NdArray floats = backend.memory().allocate(DType.F32, shape, Owner.WORKSPACE);
    temporaries.add(floats.buffer());
    return floats;
  }

  /// An operand that is read: `x`, or its elements as floats, laid out by columns where `x` is.
  NdArray read(NdArray x) {
    if (x.dtype() != DType.F16) {
      return x;
    }
    boolean byColumns = !x.isContiguous() && x.rank() >= 2 && x.transpose().isContiguous();
    NdArray from = byColumns ? x.transpose() : x;
    NdArray floats = floats(from.shape());
    backend.copy(from, floats);
    return byColumns ? floats.transpose() : floats;
  }

  /// One that is written.
  NdArray written(NdArray y) {
    if (y.dtype() != DType.F16) {
      return y;
    }
    NdArray floats = floats(y.shape());
    results.add(y);
    sums.add(floats);
    return floats;
  }

  /// One that is added to.
  NdArray changed(NdArray y) {
    NdArray floats = written(y);
    if (floats != y) {
      backend.copy(y, floats);
    }
    return floats;
  }

  @Override
  public void close() {
    for (int i = 0; i < results.size(); i++) {
      backend.copy(sums.get(i), results.get(i));
    }
    temporaries.forEach(Buffer::release);
  }
}
