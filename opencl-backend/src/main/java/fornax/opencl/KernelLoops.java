package fornax.opencl;

import fornax.array.Layout;
import fornax.array.Loops;
import fornax.array.Shape;
import fornax.backend.DeviceException;
import java.nio.ByteBuffer;
import java.util.Arrays;

/// The `Loops` structure of `common.clh`: an argument of kernels that walk over arrays of any
/// layout. Offsets are not in it: they go with the arrays.
record KernelLoops(Loops loops, int operands, long count) implements Argument {
  private static final int MAX_RANK = 8; // as in common.clh
  private static final int MAX_OPERANDS = 4; // as in common.clh

  static KernelLoops of(String op, Layout... layouts) {
    Loops loops = Loops.of(layouts);
    if (loops.rank() > MAX_RANK) {
      throw new DeviceException(
          op
              + ": too many axes that cannot be joined; got "
              + loops.rank()
              + " for "
              + layouts[0].shape()
              + "; the OpenCL backend takes at most "
              + MAX_RANK
              + "; make the arrays contiguous first");
    }
    return new KernelLoops(loops, layouts.length, layouts[0].shape().elements());
  }

  /// Over nothing but one element of `operands` arrays.
  static KernelLoops single(int operands) {
    Layout[] scalars = new Layout[operands];
    Arrays.fill(scalars, Layout.of(Shape.scalar()));
    return of("loop", scalars);
  }

  /// Whether every operand's elements are side by side.
  boolean isFlat() {
    if (loops.rank() != 1) {
      return false;
    }
    for (int k = 0; k < operands; k++) {
      if (loops.stride(k, 0) != 1 && count > 1) {
        return false;
      }
    }
    return true;
  }

  /// Whether operand `k` has one stride for all its elements.
  boolean isLine() {
    return loops.rank() == 1;
  }

  /// Whether some number in it needs 64 bits.
  @Override
  public boolean isWide() {
    if (count > Integer.MAX_VALUE) {
      return true;
    }
    for (int k = 0; k < operands; k++) {
      long reach = 0;
      for (int axis = 0; axis < loops.rank(); axis++) {
        reach += Math.abs(loops.stride(k, axis)) * Math.max(1, loops.dim(axis));
      }
      if (reach > Integer.MAX_VALUE) {
        return true;
      }
    }
    return false;
  }

  @Override
  public void write(ByteBuffer to, boolean wide) {
    put(to, wide, count);
    put(to, wide, loops.rank());
    for (int axis = 0; axis < MAX_RANK; axis++) {
      put(to, wide, axis < loops.rank() ? loops.dim(axis) : 1);
    }
    for (int k = 0; k < MAX_OPERANDS; k++) {
      for (int axis = 0; axis < MAX_RANK; axis++) {
        put(to, wide, k < operands && axis < loops.rank() ? loops.stride(k, axis) : 0);
      }
    }
  }

  private static void put(ByteBuffer to, boolean wide, long value) {
    if (wide) {
      to.putLong(value);
    } else {
      to.putInt((int) value);
    }
  }
}
