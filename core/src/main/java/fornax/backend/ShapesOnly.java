package fornax.backend;

import com.google.errorprone.annotations.MustBeClosed;
import java.lang.foreign.MemorySegment;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import org.jspecify.annotations.Nullable;

/// A device that computes nothing and asks the system for nothing, but counts each array as a real
/// one would: models and training run on it to find out what they need. Every operation does
/// nothing; what is read back is 0.
///
/// Temporaries inside a device's kernels are not counted, but those of the default bodies that it
/// falls back to are.
public final class ShapesOnly implements InvocationHandler {
  private static final Object[] NONE = {};

  private final Options options;
  private final Memory memory;

  /// What a real device would say of itself.
  ///
  /// @param id the device's id
  /// @param limit the most bytes to hold; more is an [OutOfDeviceMemoryException], as there
  /// @param chunkElements [Backend#chunkElements()]
  /// @param rowMultiple what [Backend#rowPitch(long)] is a multiple of
  /// @param decomposed the operations that it has no kernel for
  /// @param reserves whether [Backend#capture(Runnable)] keeps the memory of what it recorded
  public record Options(
      String id,
      long limit,
      long chunkElements,
      long rowMultiple,
      Decomposed decomposed,
      boolean reserves) {}

  /// Which operations a device leaves to their default bodies.
  @FunctionalInterface
  public interface Decomposed {
    /// Whether `operation`, a method of [Backend], is left to its default body for these arguments.
    boolean test(String operation, Object[] arguments);
  }

  private ShapesOnly(Options options) {
    this.options = options;
    memory = new Memory(options.id(), Nothing::new, options.limit());
  }

  /// A device of its own, with its own count.
  @MustBeClosed
  public static Backend of(Options options) {
    return (Backend)
        Proxy.newProxyInstance(
            Backend.class.getClassLoader(),
            new Class<?>[] {Backend.class},
            new ShapesOnly(options));
  }

  @Override
  public @Nullable Object invoke(Object proxy, Method method, Object @Nullable [] arguments)
      throws Throwable {
    Object[] given = arguments == null ? NONE : arguments;
    return switch (method.getName()) {
      case "id", "toString" -> options.id();
      case "memory" -> memory;
      case "chunkElements" -> options.chunkElements();
      case "rowPitch" -> rowPitch((long) given[0]);
      case "readback" -> zeros((NdArray) given[0]);
      case "capture" ->
          options.reserves()
              ? recorded((Runnable) given[0])
              : InvocationHandler.invokeDefault(proxy, method, given);
      case "equals" -> proxy == given[0];
      case "hashCode" -> System.identityHashCode(proxy);
      case "close" -> {
        memory.close();
        yield null;
      }
      default ->
          method.getReturnType() == void.class && !isDecomposed(method, given)
              ? null
              : InvocationHandler.invokeDefault(proxy, method, given);
    };
  }

  private long rowPitch(long columns) {
    long multiple = options.rowMultiple();
    return (columns + multiple - 1) / multiple * multiple;
  }

  private boolean isDecomposed(Method method, Object[] arguments) {
    return method.isDefault() && options.decomposed().test(method.getName(), arguments);
  }

  private static Readback zeros(NdArray x) {
    MemorySegment words = MemorySegment.ofArray(new long[Math.toIntExact((x.bytes() + 7) / 8)]);
    return () -> words.asSlice(0, x.bytes());
  }

  private Replay recorded(Runnable step) {
    Memory.Reservation reservation = memory.reserve();
    try {
      step.run();
    } catch (RuntimeException | Error e) {
      reservation.close();
      throw e;
    }
    reservation.stop();
    return new Replay() {
      @Override
      public void run() {}

      @Override
      public void close() {
        reservation.close();
      }
    };
  }

  /// A block without memory.
  private static final class Nothing extends Block {
    Nothing(long bytes) {
      super(bytes);
    }

    @Override
    protected void fill(long start, long length, byte value) {}

    @Override
    protected boolean isFilled(long start, long length, byte value) {
      return true;
    }

    @Override
    protected void free() {}
  }
}
