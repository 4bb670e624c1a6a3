package fornax.data;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;

/// First names that come as dependencies, in small letters a to z, each once.
public final class Names {
  private static final String US = "org.ajbrown:name-machine:1.0.0";
  private static final List<Resource> US_FILES =
      List.of(
          new Resource(
              "org/ajbrown/namemachine/dist.female.first.txt",
              "1715c8fd9bb112fa6c4761b4c3c1340a54cba0f2f06638fc51ef6d1aab63bf52"),
          new Resource(
              "org/ajbrown/namemachine/dist.male.first.txt",
              "4b4ae3ef09a478aa70729fc03dc7819bdf899e922b830f9bd85da3ab6547d9c7"));
  private static final String INDIAN = "net.datafaker:datafaker:2.7.0";
  private static final Resource INDIAN_FILE =
      new Resource("en-IN.yml", "fc226ec6a29fd12918aec793fa9840e810e75290f940d831133b554d5f3f3298");
  private static final String FIRST_NAMES = "first_name: [";

  private Names() {}

  /// Names to learn from and names held out, a tenth of all.
  public record Split(List<String> training, List<String> validation) {}

  /// The 5,163 first names of the United States' census of 1990, in the order of the alphabet.
  ///
  /// @throws DataException if the dependency that holds them is missing or another version
  public static List<String> us() throws IOException {
    var names = new TreeSet<String>();
    for (Resource file : US_FILES) {
      new String(file.read(US), StandardCharsets.US_ASCII)
          .lines()
          .map(line -> line.strip().split("\\s+")[0]) // name, share, sum of shares, rank
          .forEach(name -> add(name, names));
    }
    return List.copyOf(names);
  }

  /// Indian first names, in the order of the alphabet.
  ///
  /// @throws DataException if the dependency that holds them is missing or another version
  public static List<String> indian() throws IOException {
    String text = new String(INDIAN_FILE.read(INDIAN), StandardCharsets.UTF_8);
    int start = text.indexOf(FIRST_NAMES) + FIRST_NAMES.length();
    var names = new TreeSet<String>();
    for (String name : text.substring(start, text.indexOf(']', start)).split(",")) {
      add(name, names);
    }
    return List.copyOf(names);
  }

  private static void add(String name, Set<String> names) {
    String small = name.strip().toLowerCase(Locale.ROOT);
    if (small.matches("[a-z]+")) {
      var _ = names.add(small);
    }
  }

  /// Shuffles `names` by `seed` and holds a tenth out.
  public static Split split(List<String> names, long seed) {
    List<String> shuffled = new ArrayList<>(names);
    Collections.shuffle(shuffled, new Random(seed));
    int training = shuffled.size() * 9 / 10;
    return new Split(
        List.copyOf(shuffled.subList(0, training)),
        List.copyOf(shuffled.subList(training, shuffled.size())));
  }
}
