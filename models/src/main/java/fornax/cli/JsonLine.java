package fornax.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintStream;
import java.io.StringWriter;
import java.io.UncheckedIOException;

/// One line of JSON. Numbers look the same in every locale; those that JSON lacks (NaN and the
/// infinities) are null.
final class JsonLine {
  private JsonLine() {}

  /// Writes a value's parts.
  @FunctionalInterface
  interface Contents {
    void writeTo(JsonGenerator json) throws IOException;
  }

  /// Prints what `contents` writes and ends the line.
  static void print(PrintStream out, Contents contents) {
    out.println(of(contents));
    out.flush();
  }

  /// What `contents` writes.
  static String of(Contents contents) {
    var text = new StringWriter();
    try (JsonGenerator json = new JsonFactory().createGenerator(text)) {
      contents.writeTo(json);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return text.toString();
  }

  /// Writes the member `name`.
  static void number(JsonGenerator json, String name, double value) throws IOException {
    if (Double.isFinite(value)) {
      json.writeNumberField(name, value);
    } else {
      json.writeNullField(name);
    }
  }
}
