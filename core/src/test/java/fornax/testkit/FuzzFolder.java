package fornax.testkit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SequencedMap;

/// A folder of good files, of which an input replaces one: its first byte says which, the others
/// are what the file then holds.
public final class FuzzFolder {
  private final Path path;
  private final List<String> names;
  private final List<byte[]> good;
  private int changed;

  private FuzzFolder(Path path, SequencedMap<String, byte[]> files) {
    this.path = path;
    names = List.copyOf(files.keySet());
    good = List.copyOf(files.values());
  }

  /// A new temporary folder with these files, of which the first `changing` are those that inputs
  /// replace.
  public static FuzzFolder of(SequencedMap<String, byte[]> files, int changing) {
    try {
      Path memory = Path.of("/dev/shm"); // files there cost no disk
      Path path =
          Files.isWritable(memory)
              ? Files.createTempDirectory(memory, "fornax-fuzz")
              : Files.createTempDirectory("fornax-fuzz");
      Runtime.getRuntime().addShutdownHook(new Thread(() -> delete(path)));
      for (var file : files.entrySet()) {
        Path target = path.resolve(file.getKey());
        Path _ = Files.createDirectories(target.getParent());
        Path _ = Files.write(target, file.getValue());
      }
      while (files.size() > changing) {
        files.pollLastEntry();
      }
      return new FuzzFolder(path, files);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /// Inputs that change nothing.
  public List<byte[]> seeds() {
    List<byte[]> seeds = new ArrayList<>();
    for (int i = 0; i < good.size(); i++) {
      byte[] seed = new byte[good.get(i).length + 1];
      seed[0] = (byte) i;
      System.arraycopy(good.get(i), 0, seed, 1, seed.length - 1);
      seeds.add(seed);
    }
    return seeds;
  }

  /// The folder with `input` in it.
  public Path with(byte[] input) throws IOException {
    int which = input.length == 0 ? 0 : (input[0] & 0xff) % names.size();
    if (which != changed) {
      Path _ = Files.write(path.resolve(names.get(changed)), good.get(changed));
      changed = which;
    }
    byte[] rest = Arrays.copyOfRange(input, Math.min(1, input.length), input.length);
    Path _ = Files.write(path.resolve(names.get(which)), rest);
    return path;
  }

  private static void delete(Path tree) {
    try (var all = Files.walk(tree)) {
      for (Path file : all.sorted((a, b) -> b.compareTo(a)).toList()) {
        Files.delete(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
