package fornax.cuda.softwaredevice;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// One edit of one kernel of a PTX text.
///
/// @param name what is wrong with the copy
/// @param kernel the kernel
/// @param line a regular expression of the line to replace
/// @param occurrence which of the lines it matches, from 0
/// @param replacement what takes its place, `$1` and so on for the expression's groups
record Mutant(String name, String kernel, String line, int occurrence, String replacement) {
  static Mutant without(String kernel, String line, int occurrence) {
    return new Mutant(kernel + " without " + line + " " + occurrence, kernel, line, occurrence, "");
  }

  String apply(String ptx) {
    int start = ptx.indexOf(".entry " + kernel + "(");
    int end = ptx.indexOf("\n}", start);
    if (start < 0 || end < 0) {
      throw new IllegalArgumentException("no kernel " + kernel);
    }
    Matcher lines =
        Pattern.compile("^\\s*" + line + ".*$", Pattern.MULTILINE).matcher(ptx).region(start, end);
    for (int i = 0; i <= occurrence; i++) {
      if (!lines.find()) {
        throw new IllegalArgumentException(name + ": the kernel has only " + i + " such lines");
      }
    }
    var edited = new StringBuilder();
    String text = ptx.substring(lines.start(), lines.end());
    String changed = Pattern.compile("\\s*" + line + ".*").matcher(text).replaceFirst(replacement);
    return edited
        .append(ptx, 0, lines.start())
        .append(changed)
        .append(ptx, lines.end(), ptx.length())
        .toString();
  }

  @Override
  public String toString() {
    return name;
  }
}
