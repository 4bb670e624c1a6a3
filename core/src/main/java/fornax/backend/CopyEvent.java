package fornax.backend;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import org.jspecify.annotations.Nullable;

/// A copy between the host and a device in a Java Flight Recording, as a backend makes it. Its
/// duration is the host's: a device with a queue goes on with it afterwards.
@Name("fornax.Copy")
@Label("Copy")
@Description("A copy between the host's memory and a device's")
@Category("Fornax")
@StackTrace(false)
public final class CopyEvent extends Event implements AutoCloseable {
  @Label("Device")
  final String device;

  @Label("To Device")
  @Description("False for a copy to the host")
  final boolean toDevice;

  @Label("Bytes")
  @DataAmount
  final long bytes;

  private CopyEvent(String device, boolean toDevice, long bytes) {
    this.device = device;
    this.toDevice = toDevice;
    this.bytes = bytes;
  }

  /// The copy of the host's values to `y`, which begins now; null if nobody records.
  public static @Nullable CopyEvent upload(Backend backend, NdArray y) {
    return start(new CopyEvent(backend.id(), true, y.bytes()));
  }

  /// The copy of `x` to the host, which begins now; null if nobody records.
  public static @Nullable CopyEvent readback(Backend backend, NdArray x) {
    return start(new CopyEvent(backend.id(), false, x.bytes()));
  }

  private static @Nullable CopyEvent start(CopyEvent event) {
    if (!event.isEnabled()) {
      return null;
    }
    event.begin();
    return event;
  }

  @Override
  public void close() {
    commit();
  }
}
