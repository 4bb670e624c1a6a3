package fornax.cuda;

import fornax.testkit.BackendConformance;

class CudaConformanceTest extends BackendConformance {
  @Override
  protected String device() {
    TestDevice.load();
    return "cuda:0";
  }

  @Override
  protected String requirement() {
    return "cuda-emulated";
  }
}
