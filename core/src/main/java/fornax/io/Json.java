package fornax.io;

import java.util.List;
import java.util.Map;

/// A JSON value. The core has no dependencies, so the header of a safetensors file is read by this
/// package's own small and strict [JsonReader].
sealed interface Json {
  /// Longest excerpt of a file's text that a message carries.
  int EXCERPT = 80;

  /// A string.
  record Text(String value) implements Json {}

  /// A number as it was written: its range is for the reader of the value to judge.
  record Literal(String digits) implements Json {}

  /// `true` or `false`.
  record Bool(boolean value) implements Json {}

  /// `null`.
  record Null() implements Json {}

  /// An array.
  record Items(List<Json> values) implements Json {}

  /// An object; its keys are distinct and in the order of the text.
  record Members(Map<String, Json> values) implements Json {}

  /// What the value is, for messages.
  default String describe() {
    return switch (this) {
      case Text text -> "the string " + quote(text.value());
      case Literal literal -> excerpt(literal.digits());
      case Bool bool -> String.valueOf(bool.value());
      case Null _ -> "null";
      case Items items -> "an array of " + items.values().size();
      case Members members -> "an object of " + members.values().size();
    };
  }

  /// `text` as a JSON string of printable ASCII, cut where it is too long for a message.
  static String quote(String text) {
    var out = new StringBuilder();
    write(out, excerpt(text));
    return out.toString();
  }

  private static String excerpt(String text) {
    return text.length() <= EXCERPT ? text : text.substring(0, EXCERPT) + "...";
  }

  /// Appends `text` as a JSON string of printable ASCII.
  static void write(StringBuilder out, String text) {
    out.append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '"' -> out.append("\\\"");
        case '\\' -> out.append("\\\\");
        case '\b' -> out.append("\\b");
        case '\f' -> out.append("\\f");
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        default -> {
          if (c >= ' ' && c <= '~') {
            out.append(c);
          } else {
            out.append(String.format("\\u%04x", (int) c));
          }
        }
      }
    }
    out.append('"');
  }
}
