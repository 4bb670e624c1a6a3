package fornax.backend;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import org.jspecify.annotations.Nullable;

/// An operation in a Java Flight Recording. Its duration is the host's: on a device with a queue,
/// the time to enqueue it. Where nobody records, nothing is made.
@Name("fornax.Operation")
@Label("Tensor Operation")
@Description("A forward operation, its gradient, or an optimiser's step, as the host sees it")
@Category("Fornax")
@StackTrace(false)
public final class OperationEvent extends Event {
  @Label("Operation")
  @Nullable String operation;

  @Label("Backward")
  boolean backward;

  @Label("Device")
  @Nullable String device;

  @Label("Arrays")
  @Description("Type and shape of the inputs; in backward, of the result")
  @Nullable String arrays;

  private OperationEvent() {}

  /// An event that begins now, or null if nobody records.
  public static @Nullable OperationEvent start() {
    var event = new OperationEvent();
    if (!event.isEnabled()) {
      return null;
    }
    event.begin();
    return event;
  }

  /// Ends the event.
  ///
  /// @param arrays the types and shapes it was about
  public void end(String operation, boolean backward, Backend backend, String arrays) {
    end();
    if (shouldCommit()) {
      this.operation = operation;
      this.backward = backward;
      this.device = backend.id();
      this.arrays = arrays;
      commit();
    }
  }
}
