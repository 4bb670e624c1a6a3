package fornax.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
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
          "attention",
          "attentionmma",
          "attentionmmaf16",
          "binary",
          "compare",
          "conv2d",
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
          "matmulmma",
          "matmulmmaf16",
          "matmultf32",
          "pool2d",
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

  /// Those whose kernels need tensor cores that take bf16 and tf32: Ampere's and later ones'. Those
  /// that take f16 as these kernels want it are Turing's and later ones'.
  private static final Map<String, Integer> TENSOR_CORES =
      Map.of(
          "attentionmma", 80,
          "attentionmmaf16", 75,
          "matmulmma", 80,
          "matmulmmaf16", 75,
          "matmultf32", 80);

  private static final Pattern INCLUDE =
      Pattern.compile("^#include \"([^\"]+)\"", Pattern.MULTILINE);

  /// The least compute capability, such as 80, that the file `name` can be compiled for.
  static int leastCapability(String name) {
    return TENSOR_CORES.getOrDefault(name, 70);
  }

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

  /// A digest of the text and the headers.
  String hash() {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update(text.getBytes(StandardCharsets.UTF_8));
      for (var header : headers.entrySet()) {
        digest.update(header.getKey().getBytes(StandardCharsets.UTF_8));
        digest.update(header.getValue().getBytes(StandardCharsets.UTF_8));
      }
      return HexFormat.of().formatHex(digest.digest(), 0, 16);
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }

  /// PTX of this file that was made when the jar was built; null where NVRTC was absent then, or
  /// the file has changed since.
  byte @Nullable [] builtPtx() {
    byte[] ptx = resource("ptx/" + name + ".ptx");
    byte[] mark = ptxMark().getBytes(StandardCharsets.UTF_8);
    boolean fits =
        ptx != null
            && ptx.length > mark.length
            && Arrays.equals(ptx, 0, mark.length, mark, 0, mark.length);
    return fits ? ptx : null;
  }

  /// How PTX made of this file begins.
  String ptxMark() {
    return "// of " + name + ".cu " + hash() + "\n";
  }

  private static byte @Nullable [] resource(String path) {
    try (InputStream in = KernelSource.class.getResourceAsStream(path)) {
      return in == null ? null : in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException("cuda: cannot read the resource " + path, e);
    }
  }
}
