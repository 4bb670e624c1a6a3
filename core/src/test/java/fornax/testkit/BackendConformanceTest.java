package fornax.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherConfig;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

class BackendConformanceTest {
  private static final String REQUIRE = "fornax.require";

  /// A device that no machine has.
  static final class Abacus extends BackendConformance {
    @Override
    protected String device() {
      return "abacus";
    }
  }

  @Test
  void absentDevice_isSkippedWithItsReason() {
    List<TestExecutionResult> results = run("cpu,opencl");
    assertEquals(TestExecutionResult.Status.ABORTED, results.getFirst().getStatus());
    assertTrue(
        message(results.getFirst()).contains("abacus is absent: no backend"),
        () -> message(results.getFirst()));
  }

  @Test
  void absentDevice_failsWhereItIsRequired() {
    List<TestExecutionResult> results = run("cpu,abacus");
    assertEquals(TestExecutionResult.Status.FAILED, results.getFirst().getStatus());
    assertTrue(
        message(results.getFirst()).contains("abacus is required by -Dfornax.require but absent"),
        () -> message(results.getFirst()));
  }

  private static String message(TestExecutionResult result) {
    return result.getThrowable().map(String::valueOf).orElse("");
  }

  // What became of the class, and of tests that were run in it.
  private static List<TestExecutionResult> run(String required) {
    List<TestExecutionResult> results = new ArrayList<>();
    TestExecutionListener listener =
        new TestExecutionListener() {
          @Override
          public void executionFinished(TestIdentifier test, TestExecutionResult result) {
            if (test.getParentId().isPresent()) {
              results.add(result);
            }
          }
        };
    var request =
        LauncherDiscoveryRequestBuilder.request().selectors(selectClass(Abacus.class)).build();
    var config =
        LauncherConfig.builder()
            .enableTestExecutionListenerAutoRegistration(false)
            .addTestExecutionListeners(listener)
            .build();
    @Nullable String before = System.setProperty(REQUIRE, required);
    try {
      LauncherFactory.create(config).execute(request);
    } finally {
      if (before == null) {
        System.clearProperty(REQUIRE);
      } else {
        System.setProperty(REQUIRE, before);
      }
    }
    assertEquals(1, results.size());
    return results;
  }
}
