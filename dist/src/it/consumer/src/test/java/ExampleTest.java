import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/// Runs README's example in a JVM of its own and compares what it prints with what README shows.
class ExampleTest {
  @Test
  void example_printsWhatReadmeShows() throws Exception {
    String readme = Files.readString(Path.of(System.getProperty("readme")));
    var shown =
        Pattern.compile("<!-- example output -->\\s*```text\n(.*?)```", Pattern.DOTALL)
            .matcher(readme);
    assertTrue(shown.find(), "README.md: no text block after <!-- example output -->");

    Process program =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "@" + System.getProperty("jvmOptions"),
                "-cp",
                System.getProperty("java.class.path"),
                "Example")
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    String printed = new String(program.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

    assertEquals(0, program.waitFor());
    assertEquals(shown.group(1), printed);
  }
}
