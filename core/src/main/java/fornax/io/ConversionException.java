package fornax.io;

import java.io.IOException;

/// A stored value that the asked-for Java type cannot hold: an integer out of range or not exactly
/// representable, a finite `F64` beyond `float`, a `BOOL` byte other than 0 and 1, or a dtype that
/// has no such conversion. The message names the tensor, the index, the value and the need.
public final class ConversionException extends IOException {
  private static final long serialVersionUID = 1L;

  ConversionException(String tensor, String found, String need) {
    super(tensor + ": " + found + "; need " + need);
  }
}
