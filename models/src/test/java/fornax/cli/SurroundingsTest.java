package fornax.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The program where things are not as at its developers': other languages, names with spaces and
/// letters beyond ASCII, no folder for temporary files.
class SurroundingsTest {
  private static final String[] LOCALES = {
    "-Duser.language=de -Duser.country=DE", // decimal commas
    "-Duser.language=tr -Duser.country=TR", // i without a dot
    "-Duser.language=ar -Duser.country=EG -Duser.region=EG", // other digits, right to left
  };

  private static final String TRAIN =
      "train --layers 1 --width 16 --heads 2 --context 16 --batch 2 --steps 4 --eval-every 2"
          + " --eval-batches 1 --sample-every 0 --checkpoint-every 2 --device cpu --threads 1"
          + " --data";

  @TempDir Path shared;

  @Test
  void otherLanguagesAndNames_changeNothing() throws IOException, InterruptedException {
    String expected = run("-Duser.language=en -Duser.country=US", "plain", false);
    for (String locale : LOCALES) {
      assertEquals(expected, run(locale, "Prüfung ß ü", false), locale);
    }
    assertEquals(expected, run(LOCALES[2], "names in POSIX é", true));
  }

  private String run(String options, String name, boolean posix)
      throws IOException, InterruptedException {
    Path folder = Files.createDirectories(shared.resolve(name));
    Launcher launcher = Launcher.in(Files.createTempDirectory(folder, "prográm "));
    Path text = folder.resolve(name + ".txt");
    Path _ = Files.writeString(text, "the quick brown fox jumps over the lazy dog ".repeat(40));
    String[] begin = TRAIN.split(" ", -1);
    String[] command = Arrays.copyOf(begin, begin.length + 3);
    command[begin.length] = text.toString();
    command[begin.length + 1] = "--out";
    command[begin.length + 2] = folder.resolve("rün 1").toString();
    ProcessBuilder builder =
        launcher.command(
            folder, options + " -XX:TieredStopAtLevel=1 -Djava.io.tmpdir=/proc/nowhere", command);
    if (posix) {
      builder.environment().put("LC_ALL", "C");
    }
    Path err = folder.resolve("err.txt");
    Process process = builder.redirectError(err.toFile()).start();
    process.getOutputStream().close();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    int code = process.waitFor();
    String said = Files.readString(err);
    assertTrue(Files.exists(folder.resolve("rün 1").resolve("model.safetensors")), said);
    assertEquals(0, code, said);
    String losses =
        out.lines()
            .filter(line -> line.contains("loss"))
            .reduce("", (all, line) -> all + line + "\n");
    assertTrue(losses.contains("validation loss"), out);
    String written = Files.readString(folder.resolve("rün 1").resolve("metrics.jsonl"));
    assertFalse((out + said + written).matches("(?s).*[\\p{Nd}&&[^0-9]].*"), out + said + written);
    return losses;
  }
}
