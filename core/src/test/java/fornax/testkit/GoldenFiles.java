package fornax.testkit;

import com.google.errorprone.annotations.MustBeClosed;
import fornax.io.SafeTensors;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;

/// The files of PyTorch's numbers among core's resources, as files wherever core's classes lie.
public final class GoldenFiles {
  private GoldenFiles() {}

  /// Opens a golden file by its name, such as `ops_golden.safetensors`.
  @MustBeClosed
  public static SafeTensors open(String name) throws IOException {
    Path file = copy(name);
    try {
      return SafeTensors.open(file);
    } finally {
      Files.delete(file); // mapped already; the mapping stays
    }
  }

  /// A copy of a golden file in the temporary folder.
  public static Path copy(String name) {
    try (var in =
        Objects.requireNonNull(
            SafeTensors.class.getResourceAsStream("/fornax/conformance/" + name), name)) {
      Path file = Files.createTempFile("golden", ".safetensors");
      Files.write(file, in.readAllBytes());
      file.toFile().deleteOnExit();
      return file;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
