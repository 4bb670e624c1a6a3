package fornax.tensor;

import com.google.errorprone.annotations.MustBeClosed;
import fornax.array.DType;
import fornax.array.DTypeException;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Buffer;
import fornax.backend.DeviceException;
import fornax.backend.NdArray;
import fornax.backend.OperationEvent;
import fornax.backend.Owner;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// One forward operation under way: checks that its inputs are usable together, allocates its
/// result and temporaries, and wraps the result with its gradient rule. What was allocated and not
/// returned is released at the end.
final class Call implements AutoCloseable {
  final String op;
  final Backend backend;
  final boolean recording;
  private final Tensor[] inputs;
  private final @Nullable OperationEvent event = OperationEvent.start();
  private final List<Buffer> held = new ArrayList<>(2);

  private Call(String op, Tensor[] inputs) {
    this.op = op;
    this.inputs = inputs;
    this.backend = inputs[0].backend();
    boolean wanted = false;
    for (Tensor input : inputs) {
      input.checkOpen(op);
      if (input.backend() != backend) {
        throw otherDevice(op, backend, input.backend());
      }
      wanted |= input.requiresGrad();
    }
    this.recording = wanted && ThreadState.current().recording;
  }

  static DeviceException otherDevice(String op, Backend one, Backend other) {
    return new DeviceException(
        op
            + ": tensors on different devices; got "
            + one.id()
            + " and "
            + other.id()
            + "; need one device; move one with to(backend)");
  }

  @MustBeClosed
  static Call of(String op, Tensor... inputs) {
    return new Call(op, inputs);
  }

  /// A new contiguous array for the result or a saved value.
  NdArray allocate(DType dtype, Shape shape) {
    return hold(backend.memory().allocate(dtype, shape, Owner.ACTIVATIONS));
  }

  /// A new contiguous array that ends with the call.
  NdArray temporary(DType dtype, Shape shape) {
    return hold(backend.memory().allocate(dtype, shape, Owner.WORKSPACE));
  }

  private NdArray hold(NdArray array) {
    held.add(array.buffer());
    return array;
  }

  /// The array of `x`, copied where it is not contiguous.
  NdArray contiguous(Tensor x) {
    return contiguous(x.array());
  }

  NdArray contiguous(NdArray x) {
    if (x.isContiguous()) {
      return x;
    }
    NdArray copy = allocate(x.dtype(), x.shape());
    backend.copy(x, copy);
    return copy;
  }

  /// @throws DTypeException if `x` is not floating
  void needFloating(Tensor x) {
    if (!x.dtype().isFloating()) {
      throw new DTypeException(
          op
              + ": needs floating elements; got "
              + x.dtype()
              + " "
              + x.shape()
              + "; need F32, BF16 or F16; convert with to(F32)");
    }
  }

  /// @throws DTypeException if `x` is not of type `dtype`
  void need(DType dtype, String what, Tensor x) {
    if (x.dtype() != dtype) {
      throw new DTypeException(
          op
              + ": wrong type of "
              + what
              + "; got "
              + x.dtype()
              + " "
              + x.shape()
              + "; need "
              + dtype);
    }
  }

  /// The tensor of `y` (allocated here, or a view of an input), which is recorded with `rule` where
  /// a gradient is wanted. `saved` are retained for the rule only then.
  Tensor result(NdArray y, GradientRule rule, NdArray... saved) {
    check(y);
    return pending(y, rule, saved);
  }

  /// [#result(NdArray, GradientRule, NdArray...)] before `y` has its values; [#check(NdArray)]
  /// follows.
  Tensor pending(NdArray y, GradientRule rule, NdArray... saved) {
    Node node = recording ? Node.of(op, backend, y, rule, inputs, saved) : null;
    Numerics numerics = Numerics.current();
    if (numerics != null && node != null) {
      node.origin = numerics.origin(inputs, y);
    }
    y.buffer().retain();
    return Tensor.wrap(backend, y, node);
  }

  /// A result that has no gradient because its type has none.
  Tensor result(NdArray y) {
    check(y);
    y.buffer().retain();
    return Tensor.wrap(backend, y, null);
  }

  /// Looks for NaN and infinity in the values of a result, where somebody watches.
  void check(NdArray y) {
    Numerics numerics = Numerics.current();
    if (numerics != null) {
      numerics.forward(op, backend, inputs, y);
    }
  }

  @Override
  public void close() {
    for (Buffer buffer : held) {
      buffer.release();
    }
    if (event != null) {
      event.end(op, false, backend, arrays());
    }
  }

  private String arrays() {
    return Arrays.stream(inputs)
        .map(input -> input.dtype() + " " + input.shape())
        .collect(Collectors.joining(", "));
  }
}
