package fornax.cpu;

import com.sun.management.HotSpotDiagnosticMXBean;
import java.lang.management.ManagementFactory;
import org.jspecify.annotations.Nullable;

/// Asks the virtual machine whether its compiler turns the Vector API into vector instructions.
/// Where it does not, every vector is an object on the heap and kernels run hundreds of times
/// slower than the scalar ones, which give the same bits.
final class VectorCompiler {
  /// Why vectors would be slow; empty where they are not.
  static final String PROBLEM;

  /// What to do about it; empty where nothing need be done.
  static final String FIX;

  static {
    HotSpotDiagnosticMXBean vm = ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class);
    String problem = "";
    String fix = "";
    if (System.getProperty("java.vm.info", "").contains("interpreted")) {
      problem = "this java only interprets";
      fix = "start java without -Xint";
    } else if (!option(vm, "TieredStopAtLevel", "4").equals("4")) {
      problem = "this java runs without the compiler that knows the Vector API";
      fix = "start java without -XX:TieredStopAtLevel";
    } else if (vm == null
        || option(vm, "EnableVectorSupport", "true").equals("false")
        || option(vm, "UseJVMCICompiler", "false").equals("true")) {
      problem = "this java's compiler does not know the Vector API";
      fix = "use a HotSpot JDK with its own compiler, C2, and without -XX:-EnableVectorSupport";
    }
    PROBLEM = problem;
    FIX = fix;
  }

  private VectorCompiler() {}

  private static String option(
      @Nullable HotSpotDiagnosticMXBean vm, String name, String otherwise) {
    if (vm == null) {
      return otherwise;
    }
    try {
      return vm.getVMOption(name).getValue();
    } catch (IllegalArgumentException _) {
      return otherwise; // this version of the virtual machine has no such option
    }
  }
}
