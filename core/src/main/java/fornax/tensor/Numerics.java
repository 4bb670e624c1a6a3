package fornax.tensor;

import com.google.errorprone.annotations.MustBeClosed;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Buffer;
import fornax.backend.NdArray;
import fornax.backend.Settings;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/// Watches the operations of its thread, while it is open, for NaN and infinity, forward and
/// backward, and stops at the first:
///
/// ```java
/// try (var _ = model.checkNumerics()) {
///   model.loss(x, y).backward(); // NonFiniteException: layerNorm: NaN in the result; ...
/// }
/// ```
///
/// After each operation its floating result is reduced on the device and the host waits for that:
/// for finding a fault, not for every day. What a fault is:
/// - NaN in a result or in a gradient;
/// - an infinity in a gradient, or in a result of inputs that have none (masks of −∞ are no fault);
/// - in a parameter that is read, NaN, infinity or a magnitude of 2⁶⁴ or more, whose square is
///   infinite: what a flipped bit of an exponent looks like.
///
/// While a device captures work nothing can be read: check steps that are not captured. The system
/// property `fornax.numerics=true` watches all threads, without names of layers.
public final class Numerics implements AutoCloseable {
  /// Tells in which layer an operation is called.
  @FunctionalInterface
  public interface Layers {
    /// The path of the layer, empty for none.
    ///
    /// @param frames the classes on the call stack, the innermost first
    /// @param lastParameter the name of the parameter that an operation read last; null: none yet
    String path(List<Class<?>> frames, @Nullable String lastParameter);
  }

  /// Where an operation was called.
  ///
  /// @param lines the callers, the innermost first
  /// @param viewed the name of the parameter that the result is a view of; null: none
  record Origin(String layer, List<StackTraceElement> lines, @Nullable String viewed) {}

  private static final double LARGEST_PARAMETER = 0x1p64; // its square overflows F32
  private static final int LINES = 8;
  private static final StackWalker STACK =
      StackWalker.getInstance(StackWalker.Option.RETAIN_CLASS_REFERENCE);
  private static final AtomicInteger OPEN = new AtomicInteger();
  private static final @Nullable Numerics EVERYWHERE = everywhere();

  private final ThreadState thread;
  private final @Nullable Numerics outer;
  private final Layers layers;
  private final Map<String, Tensor> parameters;
  private final IdentityHashMap<Object, String> names = new IdentityHashMap<>();
  private @Nullable String lastParameter;
  private boolean closed;

  private Numerics(
      ThreadState thread, @Nullable Numerics outer, Map<String, Tensor> parameters, Layers layers) {
    this.thread = thread;
    this.outer = outer;
    this.parameters = parameters;
    this.layers = layers;
    parameters.forEach(
        (name, tensor) -> {
          names.put(tensor.array().buffer(), name);
          Node node = tensor.node();
          if (node != null) {
            names.put(node, name);
          }
        });
    OPEN.incrementAndGet();
  }

  private static @Nullable Numerics everywhere() {
    return Settings.checkNumerics()
        ? new Numerics(new ThreadState(), null, Map.of(), (_, _) -> "")
        : null;
  }

  /// Watches this thread until it is closed.
  @MustBeClosed
  public static Numerics check() {
    return check(Map.of(), (_, _) -> "");
  }

  /// Watches this thread, with names for what it finds. `fornax.nn.Module.checkNumerics()` knows
  /// them.
  ///
  /// @param parameters by name
  @MustBeClosed
  public static Numerics check(Map<String, Tensor> parameters, Layers layers) {
    ThreadState thread = ThreadState.current();
    Numerics numerics = new Numerics(thread, thread.numerics, parameters, layers);
    thread.numerics = numerics;
    return numerics;
  }

  /// Whether operations of this thread are watched.
  public static boolean isChecking() {
    return current() != null;
  }

  /// What watches this thread: one volatile read where nothing is watched anywhere.
  static @Nullable Numerics current() {
    if (OPEN.getPlain() == 0) {
      return null;
    }
    Numerics own = ThreadState.current().numerics;
    return own != null ? own : EVERYWHERE;
  }

  /// Stops watching. Closing twice does nothing.
  ///
  /// @throws IllegalStateException if an inner one is still open, or on another thread
  @Override
  public void close() {
    if (closed) {
      return;
    }
    if (thread != ThreadState.current() || thread.numerics != this) {
      throw new IllegalStateException(
          "numerics: closed out of order; got one that is not the innermost of this thread; need"
              + " try-with-resources");
    }
    closed = true;
    thread.numerics = outer;
    OPEN.decrementAndGet();
  }

  /// Looks at tensors before they are saved, whether somebody watches or not.
  ///
  /// @param op what is about to be done, for the error
  /// @throws NonFiniteException if one holds NaN, infinity or a magnitude of 2⁶⁴ or more
  public static void requireFinite(String op, Map<String, Tensor> tensors) {
    Origin origin = new Origin("", List.of(), null);
    tensors.forEach(
        (name, tensor) -> {
          if (tensor.dtype().isFloating()) {
            checkMagnitude(op, "the tensor", name, tensor, origin);
          }
        });
  }

  /// Checks the result `y` of `op`, and the parameters it read.
  ///
  /// @throws NonFiniteException if one is at fault
  void forward(String op, Backend backend, Tensor[] inputs, NdArray y) {
    Origin origin = origin(inputs, y);
    for (Tensor input : inputs) {
      checkParameter(op, input, origin);
    }
    if (!isView(y, inputs)) {
      checkResult(op, backend, inputs, y, origin);
    }
  }

  /// Where an operation is called that makes `y` of `inputs`.
  Origin origin(Tensor[] inputs, NdArray y) {
    @Nullable String read = null;
    for (Tensor input : inputs) {
      String name = name(input);
      read = name == null ? read : name;
    }
    lastParameter = read == null ? lastParameter : read;
    return located(read, isView(y, inputs) ? read : null);
  }

  /// Checks `y`, which `op` changed in place; its former values are gone.
  ///
  /// @throws NonFiniteException if one is at fault
  void changed(String op, Tensor y, Tensor... inputs) {
    checkResult(op, y.backend(), inputs, y.array(), located(null, null));
  }

  private void checkResult(String op, Backend backend, Tensor[] inputs, NdArray y, Origin origin) {
    if (y.dtype().isFloating()) {
      double magnitude = BadValues.magnitude(backend, y);
      if (Double.isNaN(magnitude)
          || Double.isInfinite(magnitude) && !anyInfinite(backend, inputs)) {
        throw fault(op, "the result", backend, y, origin, ", of " + describe(backend, inputs));
      }
    }
  }

  /// Checks the gradients that the rule of `node` gave its inputs.
  ///
  /// @throws NonFiniteException if one is at fault
  void backward(Node node) {
    for (int i = 0; i < node.inputs.length; i++) {
      Node input = node.inputs[i];
      NdArray dx = input == null ? null : input.gradient;
      if (dx != null && !Double.isFinite(BadValues.magnitude(node.backend, dx))) {
        String name = names.get(input);
        NdArray dy = node.gradient;
        throw fault(
            node.op,
            "the gradient of " + (name == null ? "input " + i : name),
            node.backend,
            dx,
            node.origin,
            dy == null
                ? ""
                : ", of the result's gradient, " + magnitude(node.backend, dy) + " " + dy.shape());
      }
    }
  }

  private void checkParameter(String op, Tensor input, Origin origin) {
    String name = name(input);
    Tensor parameter = name == null ? null : parameters.get(name);
    if (name == null
        || parameter == null
        || parameter.isClosed()
        || !parameter.dtype().isFloating()) {
      return;
    }
    checkMagnitude(op, "the parameter", name, parameter, origin);
  }

  private static void checkMagnitude(
      String op, String what, String name, Tensor tensor, Origin origin) {
    Backend backend = tensor.backend();
    double magnitude = BadValues.magnitude(backend, tensor.array());
    if (!(magnitude < LARGEST_PARAMETER)) {
      throw fault(
          op,
          what
              + " "
              + name
              + (Double.isFinite(magnitude)
                  ? ", whose largest magnitude is " + magnitude + " (was a bit flipped?)"
                  : ""),
          backend,
          tensor.array(),
          origin,
          "");
    }
  }

  private static NonFiniteException fault(
      String op,
      String where,
      Backend backend,
      NdArray array,
      @Nullable Origin origin,
      String inputs) {
    BadValues bad = BadValues.of(backend, array);
    Shape shape = array.shape();
    String layer = origin == null ? "" : origin.layer();
    boolean finite = bad.first() < 0;
    StringBuilder text = new StringBuilder(op).append(": ");
    text.append(finite ? "a number too large" : bad.notANumbers() > 0 ? "NaN" : "infinity");
    text.append(" in ").append(where).append("; got ");
    text.append(
        String.format(
            Locale.ROOT,
            "%,d NaN and %,d infinities among the %,d values of %s %s",
            bad.notANumbers(),
            bad.infinities(),
            array.elements(),
            array.dtype(),
            shape));
    if (!finite) {
      text.append(", the first at ").append(bad.place(shape));
    }
    text.append(inputs).append("; need finite values; ");
    text.append(layer.isEmpty() ? "in no known layer" : "in layer " + layer);
    text.append(" on ").append(backend.id());
    if (origin == null) {
      text.append(", recorded before checking began");
    } else if (!origin.lines().isEmpty()) {
      text.append(", called");
      origin.lines().forEach(line -> text.append("\n    at ").append(line));
    }
    return new NonFiniteException(
        text.toString(),
        op,
        where.startsWith("the gradient"),
        shape,
        bad,
        layer,
        origin == null || origin.lines().isEmpty() ? null : origin.lines().getFirst());
  }

  private Origin located(@Nullable String read, @Nullable String viewed) {
    List<Class<?>> classes = new ArrayList<>();
    List<StackTraceElement> lines = new ArrayList<>();
    STACK.forEach(
        frame -> {
          if (!lines.isEmpty() || !isOurs(frame.getDeclaringClass())) {
            classes.add(frame.getDeclaringClass());
            if (lines.size() < LINES) {
              lines.add(frame.toStackTraceElement());
            }
          }
        });
    String layer =
        read == null
            ? layers.path(classes, lastParameter)
            : read.substring(0, Math.max(0, read.lastIndexOf('.')));
    return new Origin(layer, List.copyOf(lines), viewed);
  }

  // Of this package as it was built, not of a test that shares its name.
  private static boolean isOurs(Class<?> type) {
    return type.getPackage() == Numerics.class.getPackage()
        && type.getProtectionDomain() == Numerics.class.getProtectionDomain();
  }

  /// The name of the parameter that `x` is, or is a view or working copy of; null: none.
  private @Nullable String name(Tensor x) {
    if (names.isEmpty()) {
      return null;
    }
    Buffer buffer = x.array().buffer();
    String name = names.get(buffer);
    Node node = x.node();
    if (name == null && node != null) {
      name = names.get(node);
      Origin origin = node.origin;
      return name == null && origin != null ? origin.viewed() : name;
    }
    return name;
  }

  private static boolean isView(NdArray y, Tensor[] inputs) {
    for (Tensor input : inputs) {
      if (input.array().buffer() == y.buffer()) {
        return true;
      }
    }
    return false;
  }

  private static boolean anyInfinite(Backend backend, Tensor[] inputs) {
    for (Tensor input : inputs) {
      if (input.dtype().isFloating()
          && Double.isInfinite(BadValues.magnitude(backend, input.array()))) {
        return true;
      }
    }
    return false;
  }

  private String describe(Backend backend, Tensor[] inputs) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < inputs.length; i++) {
      NdArray array = inputs[i].array();
      String name = name(inputs[i]);
      text.append(i == 0 ? "" : ", ").append(name == null ? "input " + i : name).append(" ");
      text.append(array.dtype()).append(" ").append(array.shape());
      if (array.dtype().isFloating()) {
        text.append(" ").append(magnitude(backend, array));
      }
    }
    return text.toString();
  }

  private static String magnitude(Backend backend, NdArray array) {
    double magnitude = BadValues.magnitude(backend, array);
    return Double.isNaN(magnitude)
        ? "with NaN"
        : Double.isInfinite(magnitude)
            ? "with infinities"
            : String.format(Locale.ROOT, "up to ±%.3g", magnitude);
  }
}
