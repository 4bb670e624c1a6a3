package fornax.opencl;

import java.util.List;
import java.util.Locale;

/// Sizes of groups and tiles for a device. They are about speed: every kernel is right with any.
///
/// @param flat work-items of a group in kernels that share nothing
/// @param narrow work-items of a group that shares a short row
/// @param wide work-items of a group that shares a long row
/// @param matmul the tiles of matmul, the smallest first
record Tuning(int flat, int narrow, int wide, List<Tile> matmul) {
  /// A tile of matmul: see matmul.cl for the letters.
  record Tile(int lm, int ln, int tm, int tn, int vw, int bk) {
    int rows() {
      return lm * tm;
    }

    int columns() {
      return ln * tn * vw;
    }

    String options() {
      return String.format(
          Locale.ROOT,
          "-D LM=%d -D LN=%d -D TM=%d -D TN=%d -D VW=%d -D BK=%d",
          lm,
          ln,
          tm,
          tn,
          vw,
          bk);
    }
  }

  /// On a processor a group is a loop that the compiler vectorises: few, wide work-items suit it.
  static Tuning of(OpenClDevice device) {
    if (device.kind() == OpenClDevice.Kind.CPU) {
      return new Tuning(256, 32, 32, List.of(new Tile(8, 2, 6, 2, 16, 64)));
    }
    int most = Integer.highestOneBit(device.groupLimit());
    Tile small = new Tile(8, 8, 4, 1, 4, 16);
    return most < 256
        ? new Tuning(64, 64, 64, List.of(small))
        : new Tuning(
            256,
            64,
            256,
            List.of(small, new Tile(16, 16, 4, 1, 4, 16), new Tile(16, 16, 8, 2, 4, 8)));
  }

  /// The size of a group that shares a row of `columns` elements.
  int row(long columns) {
    return columns <= 4L * narrow ? narrow : wide;
  }
}
