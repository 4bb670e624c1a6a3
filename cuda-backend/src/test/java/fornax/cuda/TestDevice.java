package fornax.cuda;

import fornax.cuda.softwaredevice.SoftwareDevice;

/// The device that tests run on: the software device, or a card with `-Dfornax.cuda.tests=card`.
final class TestDevice {
  private TestDevice() {}

  /// Loads the libraries; ends the test where they are absent.
  static void load() {
    if (!isCard()) {
      SoftwareDevice.load();
    }
    if (!CudaProbe.get().usable()) {
      Requirement.missing(CudaProbe.get().report());
    }
  }

  static boolean isCard() {
    return "card".equals(System.getProperty("fornax.cuda.tests"));
  }

  static CudaBackend open() {
    load();
    return new CudaBackend(CudaDevice.open(CudaProbe.get(), 0));
  }
}
