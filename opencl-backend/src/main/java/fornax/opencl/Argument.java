package fornax.opencl;

import java.nio.ByteBuffer;

/// A structure that a kernel takes by value.
interface Argument {
  /// Whether some number in it needs 64 bits.
  boolean isWide();

  /// Writes the structure, in the layout that the kernel's compiler gives it.
  void write(ByteBuffer to, boolean wide);
}
