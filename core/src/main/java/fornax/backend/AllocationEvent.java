package fornax.backend;

import fornax.array.DType;
import fornax.array.Shape;
import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import org.jspecify.annotations.Nullable;

/// An array that a device's memory gave, in a Java Flight Recording.
@Name("fornax.Allocation")
@Label("Array Allocation")
@Description("An array of a device's memory, most often served from the cache of blocks")
@Category("Fornax")
@StackTrace(false)
final class AllocationEvent extends Event {
  @Label("Device")
  @Nullable String device;

  @Label("Owner")
  @Nullable String owner;

  @Label("Array")
  @Nullable String array;

  @Label("Bytes")
  @DataAmount
  long bytes;

  @Label("Live Bytes")
  @Description("Of all arrays of the device, this one included")
  @DataAmount
  long live;

  private AllocationEvent() {}

  static void commit(String device, Owner owner, DType dtype, Shape shape, long bytes, long live) {
    var event = new AllocationEvent();
    if (event.shouldCommit()) {
      event.device = device;
      event.owner = owner.name();
      event.array = dtype + " " + shape;
      event.bytes = bytes;
      event.live = live;
      event.commit();
    }
  }
}
