package fornax.cpu;

import fornax.testkit.BackendConformance;

/// Runs twice: with vector kernels, and without (`-Dfornax.vector=false`).
class CpuConformanceTest extends BackendConformance {
  @Override
  protected String device() {
    return "cpu";
  }
}
