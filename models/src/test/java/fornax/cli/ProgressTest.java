package fornax.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ProgressTest {
  private static final Progress.Status STATUS =
      new Progress.Status(690, 2000, 1.81234, 1.8012, 40112.3, 24.4);

  @ParameterizedTest
  @CsvSource({"0, 0:00", "59.6, 1:00", "725, 12:05", "10800, 3:00:00", "360000, 100:00:00"})
  void clock_readsWell(double seconds, String want) {
    assertEquals(want, Progress.clock(seconds));
  }

  @Test
  void figures_leaveOutWhatIsNotKnown() {
    assertEquals("", new Progress.Status(0, 9, Double.NaN, Double.NaN, 0, 0).figures());
    assertEquals("val 4.3000", new Progress.Status(0, 9, Double.NaN, 4.3, 0, 0).figures());
  }

  @Test
  void figures_areTheSameInEveryLocale() {
    Locale before = Locale.getDefault();
    try {
      Locale.setDefault(Locale.GERMANY);
      assertEquals("loss 1.8123  val 1.8012  40,112 tokens/s  0:24 left", STATUS.figures());
      assertEquals("0:24", Progress.clock(24.4));
    } finally {
      Locale.setDefault(before);
    }
  }

  @Test
  void bar_showsEverything() {
    assertEquals(
        " 690/2000 ━━━━━──────────── loss 1.8123  val 1.8012  40,112 tokens/s  0:24 left",
        ProgressBarDisplay.render(STATUS, 79));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 10, 40, 61, 62, 79, 200})
  void bar_fitsTheTerminal(int columns) {
    String line = ProgressBarDisplay.render(STATUS, columns);
    assertTrue(line.length() <= columns, line);
    assertTrue(" 690/2000 ".startsWith(line.substring(0, Math.min(10, line.length()))), line);
  }

  @Test
  void bar_isDrawnOverItself_andNotesStandAboveIt() {
    var bytes = new ByteArrayOutputStream();
    try (var err = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        var bar = new ProgressBarDisplay(err, 80, 2000)) {
      bar.show(STATUS, false);
      bar.note("a note");
    }
    String text = bytes.toString(StandardCharsets.UTF_8);
    assertTrue(text.contains("\r\u001b[Ka note" + System.lineSeparator()), text);
    String last = text.substring(text.lastIndexOf('\r'));
    assertTrue(last.contains("690/2000"), last);
    assertTrue(last.endsWith(System.lineSeparator()), last);
  }

  @Test
  void meter_isSeenWhenWorkIsLong_andLeavesTheLineEmpty() throws InterruptedException {
    var bytes = new ByteArrayOutputStream();
    try (var err = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        var meter = new Meter(new Output(err, err, () -> 80), "loading", 1000)) {
      meter.show(100);
      assertEquals(0, bytes.size());
      Thread.sleep(201);
      meter.show(500);
    }
    String text = bytes.toString(StandardCharsets.UTF_8);
    assertTrue(text.contains("\r\u001b[Kloading ━"), text);
    assertTrue(text.contains("─  50 %  0:00 left"), text);
    assertTrue(text.endsWith("\r\u001b[K"), text);
  }

  @Test
  void lines_areForMilestones() {
    var bytes = new ByteArrayOutputStream();
    try (var err = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        var lines = new ProgressLines(err)) {
      lines.show(STATUS, false);
      lines.show(STATUS, true);
      lines.note("a note");
    }
    assertEquals(
        "step  690/2000  loss 1.8123  val 1.8012  40,112 tokens/s  0:24 left\na note\n",
        bytes.toString(StandardCharsets.UTF_8).replace(System.lineSeparator(), "\n"));
  }
}
