package fornax.cuda;

import com.google.errorprone.annotations.MustBeClosed;
import fornax.backend.Backend;
import fornax.backend.BackendProvider;
import fornax.backend.DeviceInfo;
import fornax.backend.Settings;
import fornax.backend.ShapesOnly;
import java.util.List;

/// Finds NVIDIA's cards.
public final class CudaProvider implements BackendProvider {
  private static final String NAME = "cuda";

  /// For the service loader.
  public CudaProvider() {}

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public int preference() {
    return 30;
  }

  /// 0 for the software device, which stands in for a card in tests.
  @Override
  public int devicePreference(int index) {
    List<DeviceInfo> devices = devices();
    return index < devices.size() && devices.get(index).testOnly() ? 0 : preference();
  }

  @Override
  public List<DeviceInfo> devices() {
    try {
      return CudaProbe.get().devices();
    } catch (RuntimeException | LinkageError e) {
      return List.of(
          DeviceInfo.missing(
              NAME, NAME, "looking for CUDA failed: " + e, "please report this as a bug"));
    }
  }

  @Override
  public String report() {
    try {
      return CudaProbe.get().report();
    } catch (RuntimeException | LinkageError e) {
      return "looking for CUDA failed: " + e;
    }
  }

  @Override
  public Backend open(int index) {
    CudaProbe probe = CudaProbe.get();
    if (!probe.usable()) {
      throw probe.refusal();
    }
    return new CudaBackend(CudaDevice.open(probe, index));
  }

  @Override
  @MustBeClosed
  public Backend shapesOnly(long bytes) {
    long limit = CudaDevice.usable(bytes);
    return ShapesOnly.of(
        new ShapesOnly.Options(
            NAME,
            limit,
            CudaBackend.chunkElements(limit),
            CudaBackend.ROW_MULTIPLE,
            (_, _) -> false,
            Settings.cudaGraphs()));
  }
}
