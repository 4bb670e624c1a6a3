package fornax.tensor;

import fornax.array.DType;
import fornax.backend.NdArray;
import fornax.backend.Owner;
import org.jspecify.annotations.Nullable;

/// The BF16 or F16 copy of an F32 tensor that arithmetic works on. The handle that operations get
/// has the copy's array and the original's node, so gradients reach the original unrounded, in its
/// type.
///
/// The copy is made again when the original has changed since, whoever changed it: the version of
/// its buffer tells.
final class WorkingCopy {
  private final Tensor original;
  private final NdArray array;
  private int version;
  final Tensor handle;

  WorkingCopy(Tensor original, DType type) {
    this.original = original;
    array =
        Tensors.made(
            original.backend(),
            type,
            original.shape(),
            Owner.PARAMETERS,
            copy -> original.backend().copy(original.array(), copy));
    handle = Tensor.unowned(original.backend(), array, original.node());
    isCurrent();
  }

  /// The copy, rounded from the original's present values.
  NdArray array() {
    if (original.array().buffer().version() != version) {
      array.buffer().changed();
      refresh();
    }
    return array;
  }

  private void refresh() {
    original.backend().copy(original.array(), array);
    isCurrent();
  }

  /// Says that the copy has the original's present values.
  void isCurrent() {
    version = original.array().buffer().version();
  }

  void setNode(@Nullable Node node) {
    handle.setNode(node);
  }

  void close() {
    handle.forget();
    array.buffer().release();
  }
}
