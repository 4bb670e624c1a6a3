package fornax.tensor;

import fornax.array.DTypeException;
import fornax.array.ShapeException;
import fornax.backend.NdArray;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// An operation with a gradient of the user's own, like PyTorch's `autograd.Function`:
///
/// ```java
/// final class Cube extends CustomOp {
///   @Override protected Tensor forward(Context context, Tensor... x) {
///     context.save(x[0]);
///     return x[0].mul(x[0]).mul(x[0]);
///   }
///   @Override protected Tensor[] gradient(Context context, Tensor dy) {
///     Tensor x = context.saved(0);
///     return new Tensor[] {dy.mul(x.square().mul(3))};
///   }
/// }
/// Tensor y = new Cube().apply(x);
/// ```
///
/// Both methods run without recording, in a scope of their own. `fornax.conformance.GradCheck`
/// tells whether they agree.
public abstract class CustomOp {
  /// For subclasses; an instance may be applied many times.
  protected CustomOp() {}

  /// What the forward computation keeps for the gradient.
  public static final class Context {
    private final List<NdArray> kept = new ArrayList<>();
    private List<Tensor> given = List.of();

    private Context() {}

    /// Keeps tensors for the gradient; they may not be changed in place before it.
    public void save(Tensor... tensors) {
      for (Tensor tensor : tensors) {
        kept.add(tensor.array());
      }
    }

    /// The tensor kept as number `index`, in the gradient.
    public Tensor saved(int index) {
      return given.get(index);
    }
  }

  /// Computes the result, a new tensor.
  protected abstract Tensor forward(Context context, Tensor... inputs);

  /// The gradient of each input, in order, of its shape, from `dy`, the gradient of the result.
  protected abstract Tensor[] gradient(Context context, Tensor dy);

  /// Applies the operation; gradients reach every input that wants one.
  public final Tensor apply(Tensor... inputs) {
    String name = getClass().getSimpleName();
    try (var call = Call.of(name, inputs);
        var scope = Scope.open()) {
      Context context = new Context();
      Tensor y;
      try (var _ = GradMode.noGrad()) {
        y = forward(context, inputs);
      }
      if (y.backend() != call.backend) {
        throw Call.otherDevice(name, call.backend, y.backend());
      }
      NdArray[] kept = context.kept.toArray(new NdArray[0]);
      return scope.keep(call.result(y.array(), g -> backward(g, name, context, kept.length), kept));
    }
  }

  private void backward(Backprop g, String name, Context context, int kept) {
    try (var _ = GradMode.noGrad();
        var _ = Scope.open()) {
      List<Tensor> values = new ArrayList<>();
      for (int i = 0; i < kept; i++) {
        values.add(handle(g, g.saved(i)));
      }
      context.given = values;
      Tensor[] gradients = gradient(context, handle(g, g.dy()));
      if (gradients.length != g.inputs()) {
        throw new IllegalStateException(
            name
                + ": gradient returned "
                + gradients.length
                + " tensors; need "
                + g.inputs()
                + ", one for each input");
      }
      for (int i = 0; i < gradients.length; i++) {
        if (g.wants(i)) {
          if (!gradients[i].shape().equals(g.shape(i))) {
            throw new ShapeException(
                name
                    + ": gradient of another shape; got "
                    + Arrays.toString(gradients[i].shape().toArray())
                    + " for input "
                    + i
                    + "; need "
                    + g.shape(i));
          }
          if (gradients[i].backend() != g.backend()) {
            throw Call.otherDevice(name, g.backend(), gradients[i].backend());
          }
          if (gradients[i].dtype() != g.dtype(i)) {
            throw new DTypeException(
                name
                    + ": gradient of another type; got "
                    + gradients[i].dtype()
                    + " for input "
                    + i
                    + "; need "
                    + g.dtype(i));
          }
          g.pass(i, gradients[i].array());
        }
      }
    }
  }

  private static Tensor handle(Backprop g, NdArray array) {
    array.buffer().retain();
    return Tensor.wrap(g.backend(), array, null);
  }
}
