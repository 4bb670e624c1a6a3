package fornax.cpu;

import fornax.backend.Settings;
import jdk.incubator.vector.FloatVector;

/// Says whether kernels may use the Vector API. Classes that mention `jdk.incubator.vector` are
/// reached only behind `if (Simd.AVAILABLE)`, so that without the module they are never loaded.
final class Simd {
  /// Why there are no vector kernels, in one line; empty where there are.
  static final String PROBLEM;

  /// What to do about it, in one line; empty where nothing need be done.
  static final String FIX;

  static final boolean AVAILABLE;

  /// The floats of one vector; 1 without vectors.
  static final int LANES;

  static {
    String problem = "";
    String fix = "";
    if (!Settings.vector()) {
      problem = "vector kernels are off by -Dfornax.vector=false";
    } else if (ModuleLayer.boot().findModule("jdk.incubator.vector").isEmpty()) {
      problem = "the Vector API is missing, so kernels are scalar and much slower";
      fix = "start java with --add-modules jdk.incubator.vector";
    } else if (!VectorCompiler.PROBLEM.isEmpty()) {
      problem = VectorCompiler.PROBLEM + ", so kernels are scalar and much slower";
      fix = VectorCompiler.FIX;
    } else if (Width.lanes() < 4 || Width.lanes() > 16) {
      problem = "vectors of " + 32 * Width.lanes() + " bits are not supported; kernels are scalar";
    }
    PROBLEM = problem;
    FIX = fix;
    AVAILABLE = problem.isEmpty();
    LANES = AVAILABLE ? Width.lanes() : 1;
  }

  private Simd() {}

  // Loaded only where the module is there.
  private static final class Width {
    static int lanes() {
      return FloatVector.SPECIES_PREFERRED.length();
    }
  }
}
