package fornax.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/// What makes two machines comparable: the processor's design, its vector instructions, and the
/// number of cores.
final class Machine {
  private static final Path CPU_INFO = Path.of("/proc/cpuinfo"); // Linux
  private static final List<String> FEATURES =
      List.of("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve");

  private Machine() {}

  /// Such as `AuthenticAMD 26.2, avx2 fma avx512f avx512_bf16, 2 cores`.
  static String key() {
    int cores = Runtime.getRuntime().availableProcessors();
    try {
      return key(Files.exists(CPU_INFO) ? Files.readString(CPU_INFO) : "", cores);
    } catch (IOException _) {
      return key("", cores);
    }
  }

  static String key(String cpuInfo, int cores) {
    Map<String, String> first = new LinkedHashMap<>();
    cpuInfo
        .lines()
        .map(line -> line.split("\\s*:\\s*", 2))
        .filter(parts -> parts.length == 2)
        .forEach(parts -> first.putIfAbsent(parts[0].toLowerCase(Locale.ROOT), parts[1]));
    String flags = first.getOrDefault("flags", first.getOrDefault("features", ""));
    Set<String> known = Set.of(flags.split(" "));
    String design =
        first.getOrDefault("vendor_id", System.getProperty("os.arch"))
            + (first.containsKey("cpu family")
                ? " " + first.get("cpu family") + "." + first.get("model")
                : "");
    String features = FEATURES.stream().filter(known::contains).collect(Collectors.joining(" "));
    return design + ", " + features + ", " + cores + (cores == 1 ? " core" : " cores");
  }
}
