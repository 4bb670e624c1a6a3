package fornax.cli;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A run's folder may be given away: no file of it says who made it, on which machine, or where.
class RunFolderPrivacyTest {
  @TempDir Path folder;

  @Test
  void noFileNamesAUserAHostOrAFolder() throws IOException {
    Path run = folder.resolve("secret-place").resolve("run");
    Cli.Result result =
        Cli.run(
            ("train --device=reference --layers=1 --width=8 --heads=2 --context=8 --batch=2"
                    + " --steps=3 --checkpoint-every=1 --data=dickens --out="
                    + run)
                .split(" "));
    assertEquals(ExitCode.OK, result.code(), result.err());
    List<String> secrets = new ArrayList<>();
    secrets.add(folder.toString());
    secrets.add("secret-place");
    secrets.add(System.getProperty("user.dir"));
    secrets.add(System.getProperty("java.home"));
    secrets.add(System.getProperty("java.io.tmpdir") + "/");
    secrets.add(System.getProperty("user.home") + "/");
    secrets.add("/home/");
    secrets.add(InetAddress.getLocalHost().getHostName() + ".");
    if (System.getProperty("user.name").length() > 5) { // a short one may stand by chance
      secrets.add(System.getProperty("user.name"));
    }
    List<Path> files;
    try (Stream<Path> all = Files.walk(run)) {
      files = all.filter(Files::isRegularFile).toList();
    }
    assertTrue(files.size() > 8, files::toString);
    for (Path file : files) {
      String bytes = Files.readString(file, ISO_8859_1);
      for (String secret : secrets) {
        assertFalse(bytes.contains(secret), () -> file + " holds " + secret);
      }
    }
  }
}
