package fornax.benchmarks;

import fornax.backend.Settings;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/// Fornax beside PyTorch on this machine: the matrix products of a GPT, and whole training steps,
/// by turns in one run, so that both meet the same disturbances. Only the ratios mean anything on
/// another day.
///
/// Usage: `Peers FOLDER [ROUNDS [SHAPE]]`; the folder takes the unpacked libraries; with a shape
/// only that is trained, and products are left out. PyTorch is tuned: its official CPU build with
/// MKL and oneDNN inside, fused AdamW, an allocator that keeps memory and asks for huge pages. In
/// BF16 it is oneDNN on both sides.
final class Peers {
  private static final List<String> SHAPES = List.of("nano", "baby", "gpt2");
  private static final List<String> PRECISIONS = List.of("f32", "bf16");
  private static final Pattern LINE = Pattern.compile("tok/s best (\\d+) median (\\d+) .*");
  private static final Pattern PEAK = Pattern.compile("VmHWM:\\s+(\\d+) kB");
  private static final long WATCH_MILLIS = 200;
  private static final String HEAP = "-Xmx1g";
  private static final String NATIVES = "pytorch-native-cpu";
  private static final String NATIVES_FOLDER = "pytorch/cpu/linux-x86_64/";
  private static final String KEEP_MEMORY =
      "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=100000000000"
          + ":glibc.malloc.top_pad=268435456";

  private final List<String> shapes;
  private final Path natives;
  private final Path cache;
  private final String threads = String.valueOf(Settings.threads());

  private Peers(Path folder, List<String> shapes) throws IOException {
    this.shapes = shapes;
    natives = unpack(folder.resolve("libtorch"));
    cache = folder.resolve("javacpp");
  }

  public static void main(String[] args) throws IOException, InterruptedException {
    boolean one = args.length > 2 && !args[2].isEmpty();
    var peers = new Peers(Path.of(args[0]).toAbsolutePath(), one ? List.of(args[2]) : SHAPES);
    if (!one) {
      peers.matmuls();
    }
    peers.training(args.length > 1 ? Integer.parseInt(args[1]) : 3);
  }

  /// Copies the shared libraries out of the jar that has them.
  private static Path unpack(Path folder) throws IOException {
    if (Files.isDirectory(folder)) {
      return folder;
    }
    Path jar =
        Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
            .filter(entry -> entry.contains(NATIVES))
            .map(Path::of)
            .findFirst()
            .orElseThrow(() -> new IllegalStateException("peers: no " + NATIVES + " jar"));
    Path part = Files.createDirectories(folder.resolveSibling("libtorch.part"));
    try (var zip = new ZipFile(jar.toFile())) {
      for (ZipEntry entry : Collections.list(zip.entries())) {
        if (!entry.isDirectory() && entry.getName().startsWith(NATIVES_FOLDER)) {
          String name = entry.getName().substring(NATIVES_FOLDER.length());
          try (InputStream in = zip.getInputStream(entry)) {
            long _ = Files.copy(in, part.resolve(name), StandardCopyOption.REPLACE_EXISTING);
          }
        }
      }
    }
    return Files.move(part, folder);
  }

  private void matmuls() throws IOException, InterruptedException {
    System.out.printf(
        "%-16s  %-16s  %10s  %10s  %6s%n", "MATMUL", "SIZE", "FORNAX", "PYTORCH", "RATIO");
    double logs = 0;
    int count = 0;
    for (String line : run(torch("fornax.benchmarks.MatmulPeers", threads)).lines()) {
      String[] parts = line.split(" ");
      if (parts.length == 4) {
        double ours = Double.parseDouble(parts[2]);
        double theirs = Double.parseDouble(parts[3]);
        logs += Math.log(ours / theirs);
        count++;
        System.out.printf(
            Locale.ROOT,
            "%-16s  %-16s  %10.1f  %10.1f  %6.2f%n",
            parts[0],
            parts[1],
            ours,
            theirs,
            ours / theirs);
      }
    }
    System.out.printf(
        Locale.ROOT, "GFLOP/s, %s threads; geometric mean %.2f%n%n", threads, mean(logs, count));
  }

  private static double mean(double logs, int count) {
    if (count == 0) {
      throw new IllegalStateException("peers: no results");
    }
    return Math.exp(logs / count);
  }

  /// Tokens a second, and the most memory that the process had resident.
  private record Speed(double best, double median, long peakBytes) {}

  /// What a process printed, and the most memory it had resident; 0 where the system does not say.
  private record Run(List<String> lines, long peakBytes) {}

  private void training(int rounds) throws IOException, InterruptedException {
    Map<String, List<Speed>> ours = new LinkedHashMap<>();
    Map<String, List<Speed>> theirs = new LinkedHashMap<>();
    for (int i = 0; i < rounds; i++) {
      for (String shape : shapes) {
        for (String precision : PRECISIONS) {
          String row = shape + " " + precision;
          ours.computeIfAbsent(row, _ -> new ArrayList<>())
              .add(speed(run(fornax(shape, precision))));
          theirs
              .computeIfAbsent(row, _ -> new ArrayList<>())
              .add(speed(run(torch("fornax.benchmarks.TorchTraining", shape, threads, precision))));
        }
      }
    }
    String title = "%-12s  %20s  %20s  %12s  %16s%n";
    System.out.printf(title, "TRAINING", "FORNAX", "PYTORCH", "RATIO", "PEAK MB");
    for (String row : ours.keySet()) {
      Speed our = best(ours, row);
      Speed their = best(theirs, row);
      System.out.printf(
          Locale.ROOT,
          title,
          row,
          text(our),
          text(their),
          String.format(
              Locale.ROOT, "%.2f / %.2f", our.best() / their.best(), our.median() / their.median()),
          our.peakBytes() / 1_000_000 + " / " + their.peakBytes() / 1_000_000);
    }
    System.out.printf(
        "tokens/s, best step / best round's median; most resident memory, each in a JVM with %s;"
            + " %s threads, %d rounds%n",
        HEAP, threads, rounds);
  }

  private static String text(Speed speed) {
    return String.format(Locale.ROOT, "%.0f / %.0f", speed.best(), speed.median());
  }

  private static Speed best(Map<String, List<Speed>> speeds, String shape) {
    List<Speed> rounds = speeds.getOrDefault(shape, List.of());
    return new Speed(
        rounds.stream().mapToDouble(Speed::best).max().orElseThrow(),
        rounds.stream().mapToDouble(Speed::median).max().orElseThrow(),
        rounds.stream().mapToLong(Speed::peakBytes).max().orElseThrow());
  }

  private static Speed speed(Run run) {
    for (String line : run.lines()) {
      Matcher matcher = LINE.matcher(line);
      if (matcher.matches()) {
        return new Speed(
            Double.parseDouble(matcher.group(1)),
            Double.parseDouble(matcher.group(2)),
            run.peakBytes());
      }
    }
    throw new IllegalStateException("peers: no speed; got " + run.lines());
  }

  private ProcessBuilder fornax(String shape, String precision) {
    return new ProcessBuilder(
        java(
            "fornax.cli.Main",
            "bench",
            "--device=cpu",
            "--train=" + shape,
            "--precision=" + precision,
            "--matmul=" + (precision.equals("bf16") ? "onednn" : "auto")));
  }

  /// With the official libraries found before JavaCPP's own, and MKL free of other tuning.
  private ProcessBuilder torch(String main, String... args) {
    var builder = new ProcessBuilder(java(main, args));
    builder.environment().keySet().removeIf(name -> name.startsWith("OPENBLAS_"));
    builder.environment().put("LD_LIBRARY_PATH", natives.toString());
    builder.environment().put("GLIBC_TUNABLES", KEEP_MEMORY);
    return builder;
  }

  private List<String> java(String main, String... args) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            HEAP,
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow",
            "-Dorg.bytedeco.javacpp.pathsFirst=true",
            "-Dorg.bytedeco.javacpp.cachedir=" + cache,
            "-Dorg.bytedeco.javacpp.maxBytes=0",
            "-Dorg.bytedeco.javacpp.maxPhysicalBytes=0",
            "-Djava.library.path=" + natives,
            "-D" + Torch.LIBRARY + "=" + natives.resolve("libtorch_cpu.so"),
            "-cp",
            System.getProperty("java.class.path"),
            main));
    command.addAll(List.of(args));
    return command;
  }

  private static Run run(ProcessBuilder builder) throws IOException, InterruptedException {
    Process process = builder.redirectError(ProcessBuilder.Redirect.INHERIT).start();
    process.getOutputStream().close();
    var peak = new AtomicLong();
    Thread watch = Thread.ofVirtual().start(() -> watch(process, peak));
    List<String> lines;
    try (var out = process.inputReader()) {
      lines = out.lines().toList();
    }
    int code = process.waitFor();
    watch.join();
    if (code != 0) {
      throw new IllegalStateException(
          "peers: " + builder.command().getLast() + " ended with " + code + ": " + lines);
    }
    return new Run(lines, peak.get());
  }

  // Linux keeps the high-water mark of a process as long as it lives.
  private static void watch(Process process, AtomicLong peak) {
    Path status = Path.of("/proc", String.valueOf(process.pid()), "status");
    try {
      do {
        for (String line : Files.readAllLines(status)) {
          Matcher matcher = PEAK.matcher(line);
          if (matcher.matches()) {
            peak.set(1024 * Long.parseLong(matcher.group(1)));
          }
        }
      } while (!process.waitFor(WATCH_MILLIS, TimeUnit.MILLISECONDS));
    } catch (IOException _) {
      return; // ended meanwhile, or no Linux
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
  }
}
