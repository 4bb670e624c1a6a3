package fornax.tensor;

import fornax.backend.NdArray;

/// A value that a gradient rule will read, as it was when it was saved.
///
/// @param version the buffer's version then
record Saved(NdArray array, int version) {
  static Saved of(NdArray array) {
    array.buffer().retain();
    return new Saved(array, array.buffer().version());
  }
}
