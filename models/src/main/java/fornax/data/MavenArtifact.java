package fornax.data;

import fornax.backend.Settings;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.function.Consumer;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.jspecify.annotations.Nullable;

/// Files that a Maven artifact holds, each known by its checksum. They are taken from the class
/// path where the artifact is there; else Maven fetches it, once. Either way they are then kept in
/// the user's cache folder ([Settings#cacheFolder()]).
record MavenArtifact(String group, String name, String version) {
  private static final String COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.9.0:copy";

  /// The folder that holds `files`.
  ///
  /// @param note told before something is fetched
  /// @param megabytes the artifact's size, for `note`
  /// @throws DataException if they cannot be had, or are others than were meant
  Path folder(List<Resource> files, int megabytes, Consumer<String> note) throws IOException {
    Path folder = Settings.cacheFolder().resolve(name + "-" + version);
    for (Resource file : files) {
      Path cached = folder.resolve(file.path());
      if (!Files.isRegularFile(cached) || !file.isAt(cached)) {
        Files.createDirectories(folder);
        if (!takeFromClassPath(file, cached)) {
          note.accept(
              "fetching "
                  + name
                  + " through Maven, once: "
                  + megabytes
                  + " MB, kept in "
                  + Settings.cacheFolder());
          fetch(files, folder);
        }
      }
    }
    return folder;
  }

  private boolean takeFromClassPath(Resource file, Path to) throws IOException {
    try (InputStream in = file.open()) {
      if (in == null) {
        return false;
      }
      take(file, in, to);
      return true;
    }
  }

  private void take(Resource file, InputStream in, Path to) throws IOException {
    Path temporary = Files.createTempFile(to.getParent(), "part-", "");
    try {
      var _ = Files.copy(in, temporary, StandardCopyOption.REPLACE_EXISTING);
      file.requireAt(temporary, toString());
      var _ = Files.move(temporary, to, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  private void fetch(List<Resource> files, Path folder) throws IOException {
    Path work = Files.createTempDirectory(folder, "maven-");
    Path log = work.resolve("log");
    Path jar = work.resolve(name + "-" + version + ".jar");
    try {
      copyTo(work, log);
      if (!Files.isRegularFile(jar)) {
        throw failed(Texts.excerpt(Files.readString(log).strip()), null);
      }
      try (var zip = new ZipFile(jar.toFile())) {
        for (Resource file : files) {
          ZipEntry entry = zip.getEntry(file.path());
          if (entry == null) {
            throw new DataException("data: " + this + " lacks " + file.path());
          }
          try (InputStream in = zip.getInputStream(entry)) {
            take(file, in, folder.resolve(file.path()));
          }
        }
      }
    } finally {
      Files.deleteIfExists(jar);
      Files.deleteIfExists(log);
      Files.delete(work);
    }
  }

  // The local repository serves it without a network where it has been fetched before.
  private void copyTo(Path work, Path log) throws IOException {
    try {
      Process maven =
          new ProcessBuilder(
                  "mvn",
                  "-q",
                  "-B",
                  COPY,
                  "-Dartifact=" + group + ":" + name + ":" + version,
                  "-DoutputDirectory=" + work)
              .directory(work.toFile())
              .redirectErrorStream(true)
              .redirectOutput(log.toFile())
              .start();
      maven.getOutputStream().close();
      var _ = maven.waitFor();
    } catch (IOException e) {
      throw failed("no mvn on the PATH", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw failed("interrupted", e);
    }
  }

  private DataException failed(String why, @Nullable Throwable cause) {
    return new DataException(
        "data: Maven cannot fetch "
            + this
            + " ("
            + why
            + "); need mvn and a network that it can use, or a model's own folder: --model DIR",
        cause);
  }

  @Override
  public String toString() {
    return group + ":" + name + ":" + version;
  }
}
