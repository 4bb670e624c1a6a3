package fornax.train;

import fornax.backend.Readback;
import fornax.tensor.Tensor;
import java.lang.foreign.ValueLayout;
import java.util.function.DoubleSupplier;

/// Reads numbers from a device without waiting for them.
final class DeviceScalar {
  private DeviceScalar() {}

  /// Starts reading `scalar`, F32; the result waits for it when it is asked.
  static DoubleSupplier read(Tensor scalar) {
    Readback readback = scalar.backend().readback(scalar.array());
    return () -> readback.await().get(ValueLayout.JAVA_FLOAT_UNALIGNED, 0);
  }
}
