package fornax.opencl;

import fornax.testkit.BackendConformance;

class OpenClConformanceTest extends BackendConformance {
  @Override
  protected String device() {
    return "opencl";
  }
}
