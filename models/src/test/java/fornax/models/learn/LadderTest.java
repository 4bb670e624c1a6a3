package fornax.models.learn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import fornax.backend.Backend;
import fornax.backend.Backends;
import fornax.backend.DeviceException;
import fornax.data.DataException;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.opentest4j.TestAbortedException;

/// Every rung reaches its number: in full where that is short, else in full among the slow tests
/// and shortened here; and shortened on OpenCL.
class LadderTest {
  private static final Requirements REQUIRED = new Requirements();

  @TempDir Path folder;

  /// The rungs whose full run takes more than a few seconds.
  private static final List<String> LONG =
      List.of("softmax", "mnist", "convnet", "names", "word2vec", "transformer");

  static List<String> names() {
    return Ladder.rungs().stream().map(Rung::name).toList();
  }

  static List<String> shortNames() {
    return names().stream().filter(name -> !LONG.contains(name)).toList();
  }

  static List<String> longNames() {
    return LONG;
  }

  private Lesson climb(String device, String name, boolean quick) throws IOException {
    Rung rung = Ladder.find(name).orElseThrow();
    var lesson = new Lesson(new Lesson.Setup(folder, 1, null, quick), (_, _, _) -> {});
    try (Backend backend = open(device)) {
      Backends.setCurrent(backend);
      rung.run(lesson);
      assertEquals(0, backend.memory().stats().live(), "a rung gives its memory back");
    } catch (DataException e) {
      throw absent("mnist", e);
    } finally {
      Backends.setCurrent(null);
    }
    assertTrue(!lesson.words().isEmpty(), "a rung says its result");
    assertTrue(!lesson.pictures().isEmpty(), "a rung draws");
    for (Path picture : lesson.pictures()) {
      assertDrawn(picture);
    }
    return lesson;
  }

  private static Backend open(String device) {
    try {
      return Backends.open(device).backend();
    } catch (DeviceException e) {
      throw absent(device, e);
    }
  }

  private static TestAbortedException absent(String what, Exception why) {
    if (Arrays.asList(System.getProperty("fornax.require", "").split(",")).contains(what)) {
      fail("required by -Dfornax.require but absent: " + why.getMessage());
    }
    return new TestAbortedException("absent: " + why.getMessage());
  }

  /// Ink on white paper, in more than one colour.
  private static void assertDrawn(Path picture) throws IOException {
    assertTrue(Files.size(picture) < 300_000, picture + " is no small file");
    BufferedImage image = ImageIO.read(picture.toFile());
    assertNotNull(image, picture.toString());
    long colours =
        Arrays.stream(
                image.getRGB(0, 0, image.getWidth(), image.getHeight(), null, 0, image.getWidth()))
            .distinct()
            .count();
    assertTrue(colours > 4, picture + " has " + colours + " colours");
  }

  @ParameterizedTest
  @MethodSource("shortNames")
  void full_reachesItsNumber(String name) throws IOException {
    REQUIRED.check(name, climb("cpu", name, false), false);
  }

  @ParameterizedTest
  @MethodSource("longNames")
  void shortened_comesNear(String name) throws IOException {
    REQUIRED.check(name, climb("cpu", name, true), true);
  }

  @Tag("slow")
  @ParameterizedTest
  @MethodSource("longNames")
  void longOnesInFull_reachTheirNumber(String name) throws IOException {
    REQUIRED.check(name, climb("cpu", name, false), false);
  }

  @ParameterizedTest
  @MethodSource("names")
  void shortenedOnOpenCl_comesNear(String name) throws IOException {
    REQUIRED.check(name, climb("opencl", name, true), true);
  }

  @Test
  void sameSeed_givesTheSameFigures() throws IOException {
    Map<String, Double> once = climb("cpu", "linear", true).figures();
    assertEquals(once, climb("cpu", "linear", true).figures());
  }
}
