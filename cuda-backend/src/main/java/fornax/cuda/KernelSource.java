package fornax.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// A file of `src/main/cuda` and the headers it includes.
///
/// @param name the file's name without `.cu`
/// @param text its text
/// @param headers the headers' texts by name
record KernelSource(String name, String text, Map<String, String> headers) {
  /// Every kernel file, in the order of their names.
  static final List<String> NAMES =
      List.of(
          "adamw",
          "argmax",
          "binary",
          "compare",
          "copy",
          "crossentropy",
          "dropout",
          "embedding",
          "fill",
          "gather",
          "globalnorm",
          "layernorm",
          "linear",
          "matmul",
          "random",
          "reduction",
          "rmsnorm",
          "scan",
          "scatteradd",
          "sgd",
          "softmax",
          "sort",
          "topk",
          "unary",
          "where");

  private static final Pattern INCLUDE =
      Pattern.compile("^#include \"([^\"]+)\"", Pattern.MULTILINE);

  /// Reads the file `name` (without `.cu`) and its headers.
  static KernelSource load(String name) {
    String text = read(name + ".cu");
    Map<String, String> headers = new LinkedHashMap<>();
    collect(text, headers);
    return new KernelSource(name, text, headers);
  }

  private static void collect(String text, Map<String, String> headers) {
    Matcher includes = INCLUDE.matcher(text);
    while (includes.find()) {
      String header = includes.group(1);
      if (!headers.containsKey(header)) {
        String content = read(header);
        headers.put(header, content);
        collect(content, headers);
      }
    }
  }

  private static String read(String file) {
    byte[] bytes = resource("kernels/" + file);
    if (bytes == null) {
      throw new IllegalStateException("cuda: the kernel file " + file + " is not in the jar");
    }
    return new String(bytes, StandardCharsets.UTF_8);
  }

  /// PTX of the file `name` that was made when the jar was built, or null where NVRTC was absent
  /// then.
  static byte @Nullable [] builtPtx(String name) {
    return resource("ptx/" + name + ".ptx");
  }

  private static byte @Nullable [] resource(String path) {
    try (InputStream in = KernelSource.class.getResourceAsStream(path)) {
      return in == null ? null : in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException("cuda: cannot read the resource " + path, e);
    }
  }
}
