package fornax.benchmarks;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.reflect.Method;
import org.openjdk.jmh.annotations.OperationsPerInvocation;

/// The suites' benchmarks by name, outside JMH.
final class Subjects {
  private Subjects() {}

  /// The suite `className`, set to `size` but not opened.
  static OpBenchmark benchmark(String className, String size) {
    try {
      Class<?> suite = Class.forName(className);
      var benchmark = (OpBenchmark) suite.getConstructor().newInstance();
      suite.getField("size").set(benchmark, size);
      return benchmark;
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("bench: " + className + " is no suite with sizes", e);
    }
  }

  /// The benchmark `method` of `suite` on the CPU, opened.
  static Subject open(Class<? extends OpBenchmark> suite, String method, String size) {
    OpBenchmark benchmark = benchmark(suite.getName(), size);
    MethodHandle call;
    int operations;
    try {
      Method found = suite.getMethod(method);
      var annotation = found.getAnnotation(OperationsPerInvocation.class);
      operations = annotation == null ? 1 : annotation.value();
      call = MethodHandles.publicLookup().unreflect(found).bindTo(benchmark);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("bench: no benchmark " + method + " in " + suite, e);
    }
    benchmark.open();
    Work work = benchmark.work(method).times(operations);
    return new Subject() {
      @Override
      public Work work() {
        return work;
      }

      @Override
      public void run() {
        try {
          Object _ = call.invoke();
        } catch (RuntimeException | Error e) {
          throw e;
        } catch (Throwable e) {
          throw new IllegalStateException(e);
        }
      }

      @Override
      public void close() {
        benchmark.close();
      }
    };
  }
}
