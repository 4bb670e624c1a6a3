package fornax.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Disabled;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.platform.launcher.core.LauncherConfig;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

class SkipReportTest {
  @Test
  void report_countsTestsAndSaysWhySomeWereSkipped() {
    var request =
        LauncherDiscoveryRequestBuilder.request()
            .selectors(selectClass(SomeRun.class), selectClass(NoneRun.class))
            .build();
    var config =
        LauncherConfig.builder()
            .enableTestExecutionListenerAutoRegistration(false)
            .addTestExecutionListeners(new SkipReport())
            .build();
    PrintStream console = System.out;
    var printed = new ByteArrayOutputStream();
    System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
    try {
      LauncherFactory.create(config).execute(request);
    } finally {
      System.setOut(console);
    }
    String prefix = SkipReportTest.class.getName();
    assertEquals(
        """
        tests: 2 run, 5 skipped
        skipped: 2 of %1$s$NoneRun: no device; install a driver
        skipped: 1 of %1$s$SomeRun: not today
        skipped: 2 of %1$s$SomeRun: odd
        """
            .formatted(prefix),
        printed.toString(StandardCharsets.UTF_8).replace(System.lineSeparator(), "\n"));
  }

  static class SomeRun {
    @TestFactory
    Stream<DynamicTest> dynamic() {
      return IntStream.range(0, 4)
          .mapToObj(i -> DynamicTest.dynamicTest("case " + i, () -> skipOdd(i)));
    }

    private static void skipOdd(int i) {
      if (i % 2 == 1) {
        abort("odd");
      }
    }

    @Test
    @Disabled("not today")
    void disabled() {}
  }

  static class NoneRun {
    @BeforeAll
    static void needsDevice() {
      abort("no device; install a driver");
    }

    @Test
    void first() {}

    @Test
    void second() {}
  }
}
