package fornax.backend.reference;

import fornax.testkit.BackendConformance;

class ReferenceConformanceTest extends BackendConformance {
  @Override
  protected String device() {
    return "reference";
  }
}
