package fornax.conformance;

import java.io.IOException;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// The parameters of a golden case: a flat JSON object of numbers, truth values and strings.
final class Parameters {
  private static final Pattern MEMBER =
      Pattern.compile("\"([^\"]*)\"\\s*:\\s*(?:\"((?:[^\"\\\\]|\\\\.)*)\"|([^,}\\s]+))");

  private final Map<String, String> values = new TreeMap<>();

  private Parameters() {}

  static Parameters parse(String json) {
    Parameters parameters = new Parameters();
    Matcher member = MEMBER.matcher(json);
    while (member.find()) {
      String text = member.group(2) == null ? member.group(3) : member.group(2);
      parameters.values.put(member.group(1), text);
    }
    return parameters;
  }

  String text(String name) throws IOException {
    String value = values.get(name);
    if (value == null) {
      throw new IOException("golden: no parameter " + name + "; got " + values);
    }
    return value;
  }

  double number(String name) throws IOException {
    try {
      return Double.parseDouble(text(name));
    } catch (NumberFormatException e) {
      throw new IOException("golden: not a number; got " + name + " " + text(name), e);
    }
  }

  int integer(String name) throws IOException {
    return (int) number(name);
  }

  int integer(String name, int otherwise) throws IOException {
    return values.containsKey(name) ? integer(name) : otherwise;
  }

  // 0 and 1 as well as false and true; false where it is missing.
  boolean flag(String name) {
    String value = values.getOrDefault(name, "false");
    return value.equals("true") || value.equals("1");
  }
}
