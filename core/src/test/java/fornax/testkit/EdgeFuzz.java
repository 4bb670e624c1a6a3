package fornax.testkit;

import fornax.array.DTypeException;
import fornax.array.ShapeException;
import fornax.backend.Backend;
import fornax.backend.Backends;
import fornax.backend.DeviceException;
import fornax.backend.reference.ReferenceBackend;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// Calls the public API with seeded random arguments that need not make sense: each call gives a
/// result or an error of a type that says what was wrong; nothing is left behind, and nothing is
/// written outside a buffer. A process of its own, so that its parent sees a crash:
///
/// ```
/// java -cp ... fornax.testkit.EdgeFuzz DEVICE FIRST_SEED CASES [CLASS_TO_PREPARE]
/// ```
///
/// Prints the seed of the last case that began to standard error, and what it did to standard
/// output. Exit code 0: all as promised.
public final class EdgeFuzz {
  private static final long MEMORY = 64L << 20;
  private static final long LARGEST_READ = 1 << 20;

  private EdgeFuzz() {}

  /// See above.
  public static void main(String[] arguments) throws ReflectiveOperationException {
    if (arguments.length > 3) {
      var load = Class.forName(arguments[3]).getDeclaredMethod("load");
      load.setAccessible(true);
      Object _ = load.invoke(null);
    }
    long first = Long.parseLong(arguments[1]);
    long cases = Long.parseLong(arguments[2]);
    int failures = 0;
    Map<String, Integer> outcomes = new TreeMap<>();
    try (Backend backend = Backends.open(arguments[0]).backend();
        Backend other = new ReferenceBackend()) {
      backend.memory().setLimit(MEMORY);
      other.memory().setLimit(MEMORY);
      List<EdgeCases.Case> all = EdgeCases.all();
      for (long seed = first; seed < first + cases && failures < 20; seed++) {
        EdgeCases.Case one = all.get((int) Math.floorMod(seed, (long) all.size()));
        System.err.println(seed + " " + one.name());
        String outcome = run(backend, other, one, seed);
        boolean fault = outcome.startsWith("!");
        if (fault) {
          failures++;
          System.out.println("seed " + seed + " " + one.name() + ": " + outcome.substring(1));
        }
        outcomes.merge(fault ? "fault" : outcome, 1, Integer::sum);
      }
    }
    System.out.println(outcomes);
    System.exit(failures == 0 ? 0 : 1);
  }

  private static String run(Backend backend, Backend other, EdgeCases.Case one, long seed) {
    String outcome = "passed";
    Throwable unexpected = null;
    try (var inputs = new EdgeInputs(backend, other, seed * 7919);
        var _ = Scope.open()) {
      try {
        use(one.run().apply(inputs), seed);
        backend.synchronize();
      } catch (ShapeException | DTypeException | DeviceException e) {
        outcome = e.getClass().getSimpleName();
      } catch (IllegalArgumentException | IllegalStateException e) {
        outcome = e.getClass().getSimpleName();
        unexpected = e.getMessage() == null ? e : null;
      } catch (IndexOutOfBoundsException e) {
        outcome = "IndexOutOfBoundsException";
        boolean ours = e.getClass() == IndexOutOfBoundsException.class;
        unexpected = ours && String.valueOf(e.getMessage()).contains("; got ") ? null : e;
      } catch (RuntimeException | Error e) {
        unexpected = e;
      }
    } catch (RuntimeException | Error e) {
      unexpected = e;
    }
    if (unexpected != null) {
      return "!" + unexpected + trace(unexpected);
    }
    try {
      backend.synchronize();
    } catch (IndexOutOfBoundsException _) {
      outcome = "IndexOutOfBoundsException";
    }
    long left = backend.memory().stats().live() + other.memory().stats().live();
    if (left != 0) {
      String leaks = backend.memory().leaks() + " " + other.memory().leaks();
      return "!left " + left + " bytes behind after " + outcome + ": " + leaks;
    }
    return outcome;
  }

  private static String trace(Throwable e) {
    StringBuilder text = new StringBuilder();
    StackTraceElement[] frames = e.getStackTrace();
    for (int i = 0; i < Math.min(9, frames.length); i++) {
      text.append("\n    at ").append(frames[i]);
    }
    return text.toString();
  }

  // Reads the result, and runs backward from it.
  private static void use(@Nullable Tensor y, long seed) {
    if (y == null || y.isClosed() || y.elements() > LARGEST_READ) {
      return;
    }
    double[] _ = y.toDoubleArray();
    if (y.requiresGrad() && seed % 3 != 0) {
      y.sum().backward();
    }
  }
}
