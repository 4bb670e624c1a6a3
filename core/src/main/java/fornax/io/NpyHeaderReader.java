package fornax.io;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Reads the header of a `.npy` file: the Python dictionary `{'descr': '<f4', 'fortran_order':
/// False, 'shape': (2, 3), }`, its three keys in any order.
final class NpyHeaderReader {
  /// What a header says.
  record Header(FileDType dtype, boolean bigEndian, boolean fortranOrder, List<Long> dims) {
    long[] dimsArray() {
      return dims.stream().mapToLong(Long::longValue).toArray();
    }
  }

  private final Path path;
  private final String text;
  private int at;

  NpyHeaderReader(Path path, String text) {
    this.path = path;
    this.text = text;
  }

  Header read(int maxRank) throws CorruptFileException {
    String descr = null;
    Boolean fortranOrder = null;
    List<Long> dims = null;
    expect('{');
    while (!accept('}')) {
      String key = string();
      expect(':');
      boolean repeated;
      switch (key) {
        case "descr" -> {
          repeated = descr != null;
          descr = string();
        }
        case "fortran_order" -> {
          repeated = fortranOrder != null;
          fortranOrder = bool();
        }
        case "shape" -> {
          repeated = dims != null;
          dims = tuple(maxRank);
        }
        default -> throw corrupt("the key " + Json.quote(key));
      }
      if (repeated) {
        throw corrupt("the key " + Json.quote(key) + " twice");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skipSpace();
    if (at < text.length()) {
      throw corrupt("text after the dictionary");
    }
    return header(descr, fortranOrder, dims);
  }

  private Header header(
      @Nullable String descr, @Nullable Boolean fortranOrder, @Nullable List<Long> dims)
      throws CorruptFileException {
    if (descr == null || fortranOrder == null || dims == null) {
      throw corrupt("a key missing");
    }
    FileDType dtype = descr.length() == 3 ? dtype(descr.substring(1)) : null;
    char order = descr.isEmpty() ? ' ' : descr.charAt(0);
    boolean known = order == '<' || order == '>' || (order == '|' && bytes(dtype) == 1);
    if (dtype == null || !known) {
      throw new CorruptFileException(
          path,
          null,
          "descr " + Json.quote(descr),
          "f2, f4, f8, i4 or i8 after < or >, or |u1 or |b1");
    }
    return new Header(dtype, order == '>', fortranOrder, List.copyOf(dims));
  }

  private static @Nullable FileDType dtype(String name) {
    return switch (name) {
      case "f2" -> FileDType.F16;
      case "f4" -> FileDType.F32;
      case "f8" -> FileDType.F64;
      case "i4" -> FileDType.I32;
      case "i8" -> FileDType.I64;
      case "u1" -> FileDType.U8;
      case "b1" -> FileDType.BOOL;
      default -> null;
    };
  }

  private static int bytes(@Nullable FileDType dtype) {
    return dtype == null ? 0 : dtype.bytes();
  }

  private String string() throws CorruptFileException {
    skipSpace();
    char quote = at < text.length() ? text.charAt(at) : ' ';
    if (quote != '\'' && quote != '"') {
      throw corrupt("no string");
    }
    int end = text.indexOf(quote, at + 1);
    if (end < 0) {
      throw corrupt("a string without an end");
    }
    String value = text.substring(at + 1, end);
    at = end + 1;
    return value;
  }

  private boolean bool() throws CorruptFileException {
    skipSpace();
    for (boolean value : new boolean[] {false, true}) {
      String word = value ? "True" : "False";
      if (text.startsWith(word, at)) {
        at += word.length();
        return value;
      }
    }
    throw corrupt("neither True nor False");
  }

  private List<Long> tuple(int maxRank) throws CorruptFileException {
    List<Long> dims = new ArrayList<>();
    expect('(');
    while (!accept(')')) {
      skipSpace();
      int start = at;
      while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
        at++;
      }
      if (at == start || at - start > 18) {
        throw corrupt("no dimension of 0 to 10^18 − 1");
      }
      dims.add(Long.parseLong(text.substring(start, at)));
      if (dims.size() > maxRank) {
        throw corrupt("more than " + maxRank + " dimensions");
      }
      if (!accept(',')) {
        if (dims.size() == 1) {
          throw corrupt("a number in parentheses, no tuple,");
        }
        expect(')');
        break;
      }
    }
    return dims;
  }

  private boolean accept(char c) {
    skipSpace();
    if (at < text.length() && text.charAt(at) == c) {
      at++;
      return true;
    }
    return false;
  }

  private void expect(char c) throws CorruptFileException {
    if (!accept(c)) {
      throw corrupt("no '" + c + "'");
    }
  }

  private void skipSpace() {
    while (at < text.length() && " \n\t\r".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
  }

  private CorruptFileException corrupt(String found) {
    return new CorruptFileException(
        path,
        null,
        "a header with " + found + " at character " + at,
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } or the like");
  }
}
