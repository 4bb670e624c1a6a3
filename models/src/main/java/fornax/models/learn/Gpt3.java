package fornax.models.learn;

import fornax.models.gpt.Gpt;
import fornax.models.gpt.GptConfig;
import fornax.nn.Weights;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// Where the 175 billion parameters of GPT-3 are. Source: arXiv:2005.14165, table 2.1.
final class Gpt3 implements Rung {
  @Override
  public String name() {
    return "gpt3";
  }

  @Override
  public String title() {
    return "where the 175 billion parameters of GPT-3 are";
  }

  /// One kind of matrix: `count` of `rows` by `columns`.
  private record Matrices(String kind, long count, long rows, long columns) {
    long parameters() {
      return count * rows * columns;
    }
  }

  /// The matrices of a GPT whose output head is counted by itself; biases, norms and positions are
  /// left out, as they make up less than a thousandth.
  private static List<Matrices> matrices(GptConfig config) {
    long width = config.width();
    long vocabulary = config.vocabulary();
    long headWidth = width / config.heads();
    long heads = (long) config.layers() * config.heads();
    return List.of(
        new Matrices("embedding", 1, vocabulary, width),
        new Matrices("query", heads, width, headWidth),
        new Matrices("key", heads, width, headWidth),
        new Matrices("value", heads, width, headWidth),
        new Matrices("output", heads, headWidth, width),
        new Matrices("up projection", config.layers(), width, 4 * width),
        new Matrices("down projection", config.layers(), 4 * width, width),
        new Matrices("unembedding", 1, width, vocabulary));
  }

  @Override
  public void run(Lesson lesson) throws IOException {
    List<Matrices> all = matrices(GptConfig.preset("gpt3-175b"));
    long total = 0;
    for (Matrices one : all) {
      lesson.say(
          "%-16s %,5d × %,6d · %,6d  %,18d",
          one.kind(), one.count(), one.rows(), one.columns(), one.parameters());
      lesson.figure(camelCase(one.kind()), one.parameters());
      total += one.parameters();
    }
    lesson.say("%-16s %,44d", "total", total);
    lesson.figure("total", total);
    check(lesson);
    lesson.picture("gpt3", bars(all, total));
  }

  private static String camelCase(String kind) {
    return kind.replace(" p", "P");
  }

  /// Builds a small GPT and counts what it has in matrices, to see that the table is right.
  private static void check(Lesson lesson) {
    GptConfig small = GptConfig.preset("nano").withVocabulary(77);
    long told = 0;
    for (Matrices one : matrices(small)) {
      told += one.parameters();
    }
    told -= (long) small.width() * small.vocabulary(); // its head is its embedding
    long found = 0;
    List<String> others = new ArrayList<>();
    try (var gpt = new Gpt(small, Weights.seeded(lesson.setup().seed()))) {
      for (var parameter : gpt.parameters().entrySet()) {
        boolean matrix =
            parameter.getValue().rank() == 2 && !parameter.getKey().startsWith("positions");
        if (matrix) {
          found += parameter.getValue().elements();
        } else {
          others.add(parameter.getKey());
        }
      }
    }
    lesson.say(
        "the same table for a GPT of 4 layers says %,d; one was built and has %,d, beside"
            + " %d vectors and its positions",
        told, found, others.size() - 1);
    lesson.figure("smallTold", told);
    lesson.figure("smallFound", found);
  }

  private static Picture bars(List<Matrices> all, long total) {
    Bars bars =
        new Bars(String.format(Locale.ROOT, "GPT-3: %,d parameters in matrices", total), "");
    for (Matrices one : all) {
      long n = one.parameters();
      String text = String.format(Locale.ROOT, "%.1f billion, %.1f %%", n / 1e9, 100.0 * n / total);
      bars = bars.add(one.kind(), n, text);
    }
    return bars;
  }
}
