package fornax.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// The program laid out as an unpacked archive, `bin/fornax` and `lib`, with the classes under
/// test.
final class Launcher {
  private final Path program;

  private Launcher(Path program) {
    this.program = program;
  }

  /// Makes it in `folder`.
  static Launcher in(Path folder) throws IOException {
    Path root = projectRoot();
    Path lib = Files.createDirectories(folder.resolve("lib"));
    Path bin = Files.createDirectories(folder.resolve("bin"));
    pointAt(System.getProperty("java.class.path"), lib.resolve("fornax.jar"));
    Path _ = Files.copy(root.resolve("jvm-options"), folder.resolve("jvm-options"));
    Path program = bin.resolve("fornax");
    Path _ = Files.copy(root.resolve("fornax"), program, StandardCopyOption.COPY_ATTRIBUTES);
    return new Launcher(program);
  }

  /// The folder that has the launcher: tests run in a module's.
  private static Path projectRoot() {
    for (Path path = Path.of("").toAbsolutePath(); path != null; path = path.getParent()) {
      if (Files.isRegularFile(path.resolve("fornax"))) {
        return path;
      }
    }
    throw new IllegalStateException("no launcher above " + Path.of("").toAbsolutePath());
  }

  /// Makes `jar` of nothing but the names of what `classPath` has.
  private static void pointAt(String classPath, Path jar) throws IOException {
    String urls =
        Stream.of(classPath.split(File.pathSeparator))
            .map(entry -> Path.of(entry).toUri().toString())
            .collect(Collectors.joining(" "));
    var manifest = new Manifest();
    Attributes attributes = manifest.getMainAttributes();
    Object _ = attributes.put(Attributes.Name.MANIFEST_VERSION, "1.0");
    Object _ = attributes.put(Attributes.Name.CLASS_PATH, urls);
    new JarOutputStream(Files.newOutputStream(jar), manifest).close();
  }

  /// A run in `folder`, with more JVM options.
  ProcessBuilder command(Path folder, String jvmOptions, String... args) {
    List<String> command = new ArrayList<>(List.of(program.toString()));
    command.addAll(List.of(args));
    var builder = new ProcessBuilder(command).directory(folder.toFile());
    builder.environment().put("FORNAX_JAVA_HOME", System.getProperty("java.home"));
    builder.environment().put("FORNAX_JVM_OPTS", jvmOptions);
    return builder;
  }

  /// Runs to the end. Of standard error, the JVM's own warnings are left out.
  Cli.Result run(Path folder, String jvmOptions, String... args)
      throws IOException, InterruptedException {
    Path err = Files.createTempFile(folder, "err", ".txt");
    Process process = command(folder, jvmOptions, args).redirectError(err.toFile()).start();
    process.getOutputStream().close();
    String out = new String(process.getInputStream().readAllBytes(), UTF_8);
    int code = process.waitFor();
    StringBuilder said = new StringBuilder();
    Files.readAllLines(err).stream()
        .filter(line -> !line.startsWith("WARNING: "))
        .forEach(line -> said.append(line).append('\n'));
    Files.delete(err);
    return new Cli.Result(code, out, said.toString());
  }
}
