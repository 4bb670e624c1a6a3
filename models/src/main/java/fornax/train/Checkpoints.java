package fornax.train;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.node.ObjectNode;
import fornax.io.AtomicFile;
import fornax.io.BoundedFile;
import fornax.optim.LossScale;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// The checkpoints of a run: folders `checkpoints/step-<8 digits>`, each of which is there as a
/// whole or not at all, whenever the program or the machine stops.
///
/// A checkpoint holds all that training needs to go on bit for bit: `config.json` and
/// `tokenizer.json` as the run has them, `model.safetensors`, `optimizer.safetensors`, `state.json`
/// (a [CheckpointState]) and `checksums.sha256`. It is a [RunFolder] of its own, so that it can be
/// evaluated and generated from.
public final class Checkpoints {
  private static final String PREFIX = "step-";
  private static final String NAME = PREFIX + "[0-9]{8,10}";
  private static final String STATE = "state.json";
  private static final String OPTIMIZER = "optimizer.safetensors";

  private final Path folder;

  Checkpoints(Path folder) {
    this.folder = folder;
  }

  /// Writes a checkpoint's files.
  @FunctionalInterface
  public interface Contents {
    /// Writes the weights, config, tokenizer and optimiser's state into `checkpoint`.
    void writeTo(RunFolder checkpoint) throws IOException;
  }

  /// Writes the checkpoint of `state`: to a temporary folder, which is forced to the disk and then
  /// renamed. One of the same step that is there already is replaced.
  ///
  /// @throws IOException if it cannot be written; the checkpoints before are then still there
  public Path write(CheckpointState state, Contents contents) throws IOException {
    Path _ = Files.createDirectories(folder);
    deleteTemporary();
    Path target = folder.resolve(String.format(Locale.ROOT, PREFIX + "%08d", state.step()));
    Path temporary = Files.createTempDirectory(folder, ".tmp-");
    try {
      contents.writeTo(new RunFolder(temporary));
      String json = RunFolder.JSON.writerWithDefaultPrettyPrinter().writeValueAsString(state);
      AtomicFile.replace(temporary.resolve(STATE), json + "\n");
      Checksums.write(temporary);
      if (Files.exists(target)) {
        Path _ = Files.move(target, folder.resolve(".tmp-replaced-" + System.nanoTime()));
      }
      Path _ = Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      deleteTemporary();
    }
    forceFolder();
    return target;
  }

  /// All of them, whole or damaged, the oldest first.
  public List<Path> list() throws IOException {
    List<Path> found = new ArrayList<>();
    if (Files.isDirectory(folder)) {
      try (DirectoryStream<Path> all =
          Files.newDirectoryStream(folder, path -> name(path).matches(NAME))) {
        all.forEach(found::add);
      }
    }
    found.sort(Comparator.comparingLong(Checkpoints::step)); // past 8 digits names do not sort
    return found;
  }

  private static long step(Path checkpoint) {
    return Long.parseLong(name(checkpoint).substring(PREFIX.length()));
  }

  /// The newest, its checksums verified; null where there is none.
  ///
  /// @param skipDamaged whether to take the newest whole one instead
  /// @throws DamagedCheckpointException if it is damaged, or all are
  public @Nullable Path newest(boolean skipDamaged) throws IOException {
    List<Path> newestFirst = list();
    Collections.reverse(newestFirst);
    DamagedCheckpointException damage = null;
    for (Path checkpoint : newestFirst) {
      try {
        Checksums.verify(checkpoint);
        return checkpoint;
      } catch (DamagedCheckpointException e) {
        if (!skipDamaged) {
          throw e;
        }
        damage = damage == null ? e : damage;
      }
    }
    if (damage != null) {
      throw damage;
    }
    return null;
  }

  /// The one with the lowest validation loss; null where none has one.
  public @Nullable Path best() throws IOException {
    Path best = null;
    double least = Double.POSITIVE_INFINITY;
    for (Path checkpoint : list()) {
      double loss = validationLoss(checkpoint);
      if (loss < least) {
        best = checkpoint;
        least = loss;
      }
    }
    return best;
  }

  /// Deletes all but the best and, of those up to `checkpoint`, the last `count`.
  ///
  /// @param checkpoint the one just written: later ones are of before the run was resumed
  public void keepLast(int count, Path checkpoint) throws IOException {
    List<Path> older = list();
    older.removeIf(other -> step(other) > step(checkpoint));
    Path best = best();
    for (Path old : older.subList(0, Math.max(0, older.size() - count))) {
      if (!old.equals(best)) {
        remove(old);
      }
    }
  }

  /// Deletes all of them.
  public void clear() throws IOException {
    for (Path checkpoint : list()) {
      remove(checkpoint);
    }
    deleteTemporary();
    if (Files.isDirectory(folder)) {
      try (DirectoryStream<Path> rest = Files.newDirectoryStream(folder)) {
        if (rest.iterator().hasNext()) {
          return;
        }
      }
      Files.delete(folder);
    }
  }

  /// Whether `path` is a checkpoint, whole or damaged.
  public static boolean isOne(Path path) {
    return Files.exists(path.resolve(Checksums.FILE)) || Files.exists(path.resolve(STATE));
  }

  /// Makes sure that `checkpoint` is as it was written.
  ///
  /// @throws DamagedCheckpointException if any byte of it is not what it was
  public static void verify(Path checkpoint) throws IOException {
    Checksums.verify(checkpoint);
  }

  /// The file of `checkpoint` that the optimiser's state is in.
  public static Path optimizer(Path checkpoint) {
    return checkpoint.resolve(OPTIMIZER);
  }

  /// What `state.json` of `checkpoint` holds.
  ///
  /// @throws IOException if it cannot be read or is not valid
  public static CheckpointState state(Path checkpoint) throws IOException {
    Path file = checkpoint.resolve(STATE);
    try {
      byte[] json = BoundedFile.read(file, RunFolder.MAX_CONFIG_BYTES);
      if (RunFolder.JSON.readTree(json) instanceof ObjectNode members) {
        addDefaults(members);
        return RunFolder.value(members, CheckpointState.class);
      }
    } catch (JacksonException e) {
      throw new RunFolderException(
          "checkpoint: " + file + " is not valid: " + RunFolder.reason(e) + "; need another", e);
    }
    throw new RunFolderException("checkpoint: " + file + " is not valid: no object; need another");
  }

  // Checkpoints from before there was F16 say nothing of its loss scale.
  private static void addDefaults(ObjectNode members) {
    if (members.get("training") instanceof ObjectNode training) {
      RunFolder.addDefault(training, "lossScale", LossScale.State.INITIAL);
      if (training.get("health") instanceof ObjectNode health) {
        RunFolder.addDefault(health, "overflows", 0);
      }
    }
  }

  private static double validationLoss(Path checkpoint) {
    try {
      return state(checkpoint).validationLoss();
    } catch (IOException _) {
      return Double.NaN; // a damaged one is no best one
    }
  }

  private static String name(Path path) {
    return String.valueOf(path.getFileName());
  }

  /// Deletes a checkpoint: it is gone as a whole at once, and its files after that.
  private void remove(Path checkpoint) throws IOException {
    Path dropped = folder.resolve(".tmp-dropped-" + System.nanoTime());
    delete(Files.move(checkpoint, dropped, StandardCopyOption.ATOMIC_MOVE));
  }

  private void deleteTemporary() throws IOException {
    List<Path> found = new ArrayList<>();
    if (Files.isDirectory(folder)) {
      try (DirectoryStream<Path> all = Files.newDirectoryStream(folder, ".tmp-*")) {
        all.forEach(found::add);
      }
    }
    for (Path path : found) {
      delete(path);
    }
  }

  private static void delete(Path tree) throws IOException {
    Path _ =
        Files.walkFileTree(
            tree,
            new SimpleFileVisitor<>() {
              @Override
              public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
                  throws IOException {
                Files.delete(file);
                return FileVisitResult.CONTINUE;
              }

              @Override
              public FileVisitResult postVisitDirectory(Path dir, @Nullable IOException fault)
                  throws IOException {
                if (fault != null) {
                  throw fault;
                }
                Files.delete(dir);
                return FileVisitResult.CONTINUE;
              }
            });
  }

  /// Makes the rename itself last. Some systems (Windows) open no folders.
  private void forceFolder() {
    try (var channel = FileChannel.open(folder, StandardOpenOption.READ)) {
      channel.force(true);
    } catch (IOException _) {
      return;
    }
  }
}
