package fornax.nn;

import fornax.backend.NdArray;
import fornax.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/// The table of [Module#summary()].
final class Summary {
  private static final List<String> HEADINGS =
      List.of("layer", "type", "shapes", "parameters", "bytes");
  private static final int FIRST_NUMBER = 3;

  private final List<List<String>> rows = new ArrayList<>();
  private long parameters;
  private long bytes;

  private Summary() {}

  static String of(Module module) {
    Summary summary = new Summary();
    summary.add("", module);
    summary.rows.add(List.of("total", "", "", number(summary.parameters), number(summary.bytes)));
    return summary.table();
  }

  private void add(String path, Module module) {
    if (!module.ownParameters().isEmpty() || module.children().isEmpty()) {
      long elements = 0;
      long size = 0;
      for (Tensor tensor : module.ownParameters().values()) {
        elements += tensor.elements();
        NdArray copy = tensor.workingArray();
        size += tensor.array().bytes() + (copy == null ? 0 : copy.bytes());
      }
      String shapes =
          module.ownParameters().entrySet().stream()
              .map(entry -> entry.getKey() + " " + entry.getValue().shape())
              .collect(Collectors.joining(", "));
      rows.add(List.of(path, module.toString(), shapes, number(elements), number(size)));
      parameters += elements;
      bytes += size;
    }
    module.children().forEach((name, part) -> add(path.isEmpty() ? name : path + "." + name, part));
  }

  private String table() {
    int[] widths = HEADINGS.stream().mapToInt(String::length).toArray();
    for (List<String> row : rows) {
      for (int i = 0; i < widths.length; i++) {
        widths[i] = Math.max(widths[i], row.get(i).length());
      }
    }
    StringBuilder text = new StringBuilder();
    line(text, HEADINGS, widths);
    for (List<String> row : rows) {
      line(text, row, widths);
    }
    return text.toString();
  }

  private static void line(StringBuilder text, List<String> cells, int[] widths) {
    StringBuilder line = new StringBuilder();
    for (int i = 0; i < widths.length; i++) {
      String blanks = " ".repeat(widths[i] - cells.get(i).length());
      line.append(i == 0 ? "" : "  ");
      line.append(i < FIRST_NUMBER ? cells.get(i) + blanks : blanks + cells.get(i));
    }
    text.append(line.toString().stripTrailing()).append('\n');
  }

  private static String number(long value) {
    return String.format(Locale.ROOT, "%,d", value);
  }
}
