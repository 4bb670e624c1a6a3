package fornax.backend;

import com.google.errorprone.annotations.MustBeClosed;
import fornax.array.DType;
import fornax.array.Shape;
import java.util.ArrayList;
import java.util.List;

/// The temporaries of one operation, released together: `try (var work = new Workspace(memory())) {
/// ... }`.
public final class Workspace implements AutoCloseable {
  private final Memory memory;
  private final List<Buffer> buffers = new ArrayList<>(4);

  @MustBeClosed
  public Workspace(Memory memory) {
    this.memory = memory;
  }

  /// A contiguous array with arbitrary contents, good until this closes.
  public NdArray allocate(DType dtype, Shape shape) {
    NdArray array = memory.allocate(dtype, shape, Owner.WORKSPACE);
    buffers.add(array.buffer());
    return array;
  }

  @Override
  public void close() {
    for (Buffer buffer : buffers) {
      buffer.release();
    }
    buffers.clear();
  }
}
