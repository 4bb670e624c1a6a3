package fornax.backend;

import com.google.errorprone.annotations.MustBeClosed;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Measures the time of each operation of a backend that has no clock of its own: what passes on
/// the wall from the call until [Primitives#synchronize()] returns. Operations that a default body
/// is made of count for the operation that was asked for.
final class OpTimes implements InvocationHandler {
  private static final Object[] NONE = {};

  private final Backend backend;
  private final Map<String, long[]> times = new HashMap<>();

  private OpTimes(Backend backend) {
    this.backend = backend;
  }

  /// `backend`, measured; closed with it.
  @MustBeClosed
  static Backend of(Backend backend) {
    return (Backend)
        Proxy.newProxyInstance(
            Backend.class.getClassLoader(), new Class<?>[] {Backend.class}, new OpTimes(backend));
  }

  @Override
  public @Nullable Object invoke(Object proxy, Method method, Object @Nullable [] arguments)
      throws Throwable {
    Object[] given = arguments == null ? NONE : arguments;
    return switch (method.getName()) {
      case "kernelTimes" -> take();
      case "equals" -> proxy == given[0];
      case "id",
          "memory",
          "close",
          "synchronize",
          "capture",
          "constant",
          "multiplyInTf32",
          "bf16Matmul",
          "rowPitch",
          "hashCode",
          "toString" ->
          call(method, given);
      default -> timed(method, given);
    };
  }

  private @Nullable Object timed(Method method, Object[] arguments) throws Throwable {
    long start = System.nanoTime();
    Object result = call(method, arguments);
    backend.synchronize();
    add(method.getName(), System.nanoTime() - start);
    return result;
  }

  private @Nullable Object call(Method method, Object[] arguments) throws Throwable {
    try {
      return method.invoke(backend, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }

  private synchronized void add(String op, long nanos) {
    long[] sums = times.computeIfAbsent(op, _ -> new long[2]);
    sums[0]++;
    sums[1] += nanos;
  }

  private synchronized List<KernelTime> take() {
    List<KernelTime> table = new ArrayList<>();
    times.forEach((op, sums) -> table.add(new KernelTime(op, op, sums[0], sums[1])));
    times.clear();
    table.sort(Comparator.comparingLong(KernelTime::nanos).reversed());
    return table;
  }
}
