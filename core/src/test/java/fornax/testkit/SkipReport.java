package fornax.testkit;

import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.support.descriptor.ClassSource;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.TestPlan;

/// Prints how many tests of a module ran, and for each class what was skipped and why: Maven prints
/// the numbers only. JUnit finds it on the class path.
public final class SkipReport implements TestExecutionListener {
  private final Map<String, Long> skipped = new TreeMap<>();
  private @Nullable TestPlan plan;
  private long run;

  @Override
  public synchronized void testPlanExecutionStarted(TestPlan started) {
    plan = started;
    run = 0;
    skipped.clear();
  }

  @Override
  public synchronized void executionSkipped(TestIdentifier test, String reason) {
    skip(test, reason);
  }

  @Override
  public synchronized void executionFinished(TestIdentifier test, TestExecutionResult result) {
    if (result.getStatus() == TestExecutionResult.Status.ABORTED) {
      skip(test, result.getThrowable().map(Throwable::getMessage).orElse("no reason given"));
    } else if (test.isTest()) {
      run++;
    }
  }

  @Override
  public synchronized void testPlanExecutionFinished(TestPlan finished) {
    long count = skipped.values().stream().mapToLong(Long::longValue).sum();
    System.out.println("tests: " + run + " run, " + count + " skipped");
    skipped.forEach((why, times) -> System.out.println("skipped: " + times + " of " + why));
  }

  private void skip(TestIdentifier test, String reason) {
    String why = reason.replaceFirst("^Assumption failed: ", "");
    skipped.merge(className(test) + ": " + why, tests(test), Long::sum);
  }

  /// How many tests `test` stands for: a skipped class that makes its tests itself counts as one.
  private long tests(TestIdentifier test) {
    long below =
        plan == null
            ? 0
            : plan.getDescendants(test).stream().filter(TestIdentifier::isTest).count();
    return Math.max(1, below);
  }

  private String className(TestIdentifier test) {
    for (TestIdentifier at = test; at != null; at = parent(at)) {
      switch (at.getSource().orElse(null)) {
        case ClassSource source -> {
          return source.getClassName();
        }
        case MethodSource source -> {
          return source.getClassName();
        }
        case null, default -> {}
      }
    }
    return test.getDisplayName();
  }

  private @Nullable TestIdentifier parent(TestIdentifier test) {
    return plan == null ? null : plan.getParent(test).orElse(null);
  }
}
