package fornax.cuda;

import fornax.testkit.BackendConformance;
import java.util.List;

class CudaConformanceTest extends BackendConformance {
  @Override
  protected String device() {
    TestDevice.load();
    return "cuda:0";
  }

  @Override
  protected List<String> preparation() {
    return List.of(TestDevice.class.getName());
  }

  @Override
  protected String requirement() {
    return "cuda-emulated";
  }
}
