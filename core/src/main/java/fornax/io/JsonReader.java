package fornax.io;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Reads one JSON text (RFC 8259) strictly: no comments, no trailing commas, no duplicate keys, no
/// unpaired surrogates, nothing after the value but white space, at most [#MAX_DEPTH] levels.
/// Memory in proportion to the text.
final class JsonReader {
  /// Levels of nesting allowed. A safetensors header has three.
  static final int MAX_DEPTH = 16;

  /// A text that is not JSON: where, and what is wrong there.
  static final class SyntaxException extends Exception {
    private static final long serialVersionUID = 1L;

    SyntaxException(String message) {
      super(message);
    }

    String reason() {
      return String.valueOf(getMessage());
    }
  }

  private final String text;
  private int at;

  private JsonReader(String text) {
    this.text = text;
  }

  /// Reads `text`.
  ///
  /// @throws SyntaxException if it is not one JSON value
  static Json read(String text) throws SyntaxException {
    var reader = new JsonReader(text);
    Json value = reader.value(1);
    reader.skipSpace();
    if (reader.at < text.length()) {
      throw reader.error("text after the end of the value");
    }
    return value;
  }

  private Json value(int depth) throws SyntaxException {
    if (depth > MAX_DEPTH) {
      throw error("more than " + MAX_DEPTH + " levels of nesting");
    }
    skipSpace();
    char c = peek();
    return switch (c) {
      case '{' -> members(depth);
      case '[' -> items(depth);
      case '"' -> new Json.Text(string());
      case 't' -> word("true", new Json.Bool(true));
      case 'f' -> word("false", new Json.Bool(false));
      case 'n' -> word("null", new Json.Null());
      default -> number();
    };
  }

  private Json members(int depth) throws SyntaxException {
    Map<String, Json> values = new LinkedHashMap<>();
    at++;
    skipSpace();
    if (peek() == '}') {
      at++;
      return new Json.Members(values);
    }
    while (true) {
      skipSpace();
      if (peek() != '"') {
        throw error("expected a key in double quotes");
      }
      int start = at;
      String key = string();
      skipSpace();
      expect(':');
      Json value = value(depth + 1);
      if (values.putIfAbsent(key, value) != null) {
        at = start;
        throw error("the key " + Json.quote(key) + " stands twice");
      }
      skipSpace();
      if (peek() == '}') {
        at++;
        return new Json.Members(values);
      }
      expect(',');
    }
  }

  private Json items(int depth) throws SyntaxException {
    List<Json> values = new ArrayList<>();
    at++;
    skipSpace();
    if (peek() == ']') {
      at++;
      return new Json.Items(values);
    }
    while (true) {
      values.add(value(depth + 1));
      skipSpace();
      if (peek() == ']') {
        at++;
        return new Json.Items(values);
      }
      expect(',');
    }
  }

  private String string() throws SyntaxException {
    var out = new StringBuilder();
    at++;
    while (true) {
      char c = peek();
      if (c < ' ') {
        throw error("a control character in a string");
      }
      at++;
      if (c == '"') {
        break;
      }
      out.append(c == '\\' ? escape() : c);
    }
    for (int i = 0; i < out.length(); i++) {
      if (Character.isHighSurrogate(out.charAt(i))
          && i + 1 < out.length()
          && Character.isLowSurrogate(out.charAt(i + 1))) {
        i++;
      } else if (Character.isSurrogate(out.charAt(i))) {
        throw error("an unpaired surrogate in a string");
      }
    }
    return out.toString();
  }

  private char escape() throws SyntaxException {
    char c = peek();
    at++;
    return switch (c) {
      case '"', '\\', '/' -> c;
      case 'b' -> '\b';
      case 'f' -> '\f';
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 't' -> '\t';
      case 'u' -> unicode();
      default -> throw error("an unknown escape in a string");
    };
  }

  private char unicode() throws SyntaxException {
    int value = 0;
    for (int i = 0; i < 4; i++) {
      char c = peek();
      int digit = c < 128 ? Character.digit(c, 16) : -1;
      if (digit < 0) {
        throw error("expected four hexadecimal digits after \\u");
      }
      value = value << 4 | digit;
      at++;
    }
    return (char) value;
  }

  private Json number() throws SyntaxException {
    int start = at;
    if (peek() == '-') {
      at++;
    }
    if (at < text.length() && text.charAt(at) == '0') {
      at++;
    } else {
      digits();
    }
    if (at < text.length() && text.charAt(at) == '.') {
      at++;
      digits();
    }
    if (at < text.length() && (text.charAt(at) == 'e' || text.charAt(at) == 'E')) {
      at++;
      if (peek() == '+' || peek() == '-') {
        at++;
      }
      digits();
    }
    return new Json.Literal(text.substring(start, at));
  }

  private void digits() throws SyntaxException {
    int start = at;
    while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
      at++;
    }
    if (at == start) {
      throw error(at == text.length() ? "the text ends too early" : "expected a value");
    }
  }

  private Json word(String word, Json value) throws SyntaxException {
    if (!text.startsWith(word, at)) {
      throw error("expected a value");
    }
    at += word.length();
    return value;
  }

  private void expect(char c) throws SyntaxException {
    if (peek() != c) {
      throw error("expected '" + c + "'");
    }
    at++;
  }

  private char peek() throws SyntaxException {
    if (at >= text.length()) {
      throw error("the text ends too early");
    }
    return text.charAt(at);
  }

  private void skipSpace() {
    while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
  }

  private SyntaxException error(String message) {
    return new SyntaxException(message + " at character " + at);
  }
}
