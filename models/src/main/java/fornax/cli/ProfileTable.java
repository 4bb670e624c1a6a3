package fornax.cli;

import fornax.backend.KernelTime;
import fornax.train.StepProfile;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// Prints a [StepProfile]: a line to a kernel, whatever it is specialised to.
final class ProfileTable {
  private static final double MILLION = 1e6;

  private final StepProfile profile;
  private final List<KernelTime> kernels;
  private final boolean hasKernels;
  private final int opWidth;
  private final int kernelWidth;

  private ProfileTable(StepProfile profile) {
    this.profile = profile;
    Map<String, KernelTime> sums = new LinkedHashMap<>();
    for (KernelTime time : profile.kernels()) {
      String name = time.kernel().split(" \\[", 2)[0];
      KernelTime _ =
          sums.merge(
              time.op() + "\0" + name,
              new KernelTime(operation(time), name, time.launches(), time.nanos()),
              (a, b) ->
                  new KernelTime(
                      a.op(), a.kernel(), a.launches() + b.launches(), a.nanos() + b.nanos()));
    }
    kernels = new ArrayList<>(sums.values());
    kernels.sort(Comparator.comparingLong(KernelTime::nanos).reversed());
    hasKernels = kernels.stream().anyMatch(time -> !time.kernel().equals(time.op()));
    opWidth =
        kernels.stream()
            .mapToInt(time -> time.op().length())
            .reduce("not in kernels".length(), Math::max);
    kernelWidth =
        hasKernels
            ? kernels.stream()
                .mapToInt(time -> time.kernel().length())
                .reduce("KERNEL".length(), Math::max)
            : 0;
  }

  // Elementwise operations come as constants: ADD, NOT_EQUAL.
  private static String operation(KernelTime time) {
    String op = time.op();
    return op.equals(op.toUpperCase(Locale.ROOT))
        ? op.toLowerCase(Locale.ROOT).replace('_', ' ')
        : op;
  }

  static void print(StepProfile profile, PrintStream to) {
    new ProfileTable(profile).print(to);
  }

  private void print(PrintStream to) {
    to.printf(
        Locale.ROOT,
        "%d step%s of %.2f ms, by kernel:%n",
        profile.steps(),
        profile.steps() == 1 ? "" : "s",
        profile.nanos() / MILLION / profile.steps());
    to.printf(
        "%s%10s%12s%9s%11s%n",
        names("OPERATION", "KERNEL"), "LAUNCHES", "TOTAL MS", "SHARE", "MEAN µs");
    long launches = 0;
    for (KernelTime time : kernels) {
      line(to, names(time.op(), time.kernel()), time.launches(), time.nanos());
      launches += time.launches();
    }
    line(to, names("in kernels", ""), launches, profile.kernelNanos());
    line(to, names("not in kernels", ""), 0, profile.nanos() - profile.kernelNanos());
    line(to, names("total", ""), 0, profile.nanos());
  }

  private String names(String op, String kernel) {
    String names = op + " ".repeat(opWidth - op.length());
    return hasKernels ? names + "  " + kernel + " ".repeat(kernelWidth - kernel.length()) : names;
  }

  private void line(PrintStream to, String names, long launches, long nanos) {
    String line =
        String.format(
            Locale.ROOT,
            "%s%10s%12s%7.1f %%",
            names,
            launches == 0 ? "" : String.format(Locale.ROOT, "%,d", launches),
            String.format(Locale.ROOT, "%,.1f", nanos / MILLION),
            100.0 * nanos / profile.nanos());
    to.println(
        launches == 0
            ? line
            : line + String.format(Locale.ROOT, "%,11.1f", nanos / 1e3 / launches));
  }
}
