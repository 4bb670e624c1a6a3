package fornax.nn;

import fornax.tensor.Tensor;
import java.util.function.UnaryOperator;

/// A function without parameters as a layer. Where it follows a [Linear], give it to that instead:
/// both are then computed in one pass.
public final class Activation extends Layer {
  private final String name;
  private final UnaryOperator<Tensor> function;

  /// @param name what stands in the summary
  public Activation(String name, UnaryOperator<Tensor> function) {
    this.name = name;
    this.function = function;
  }

  /// `max(x, 0)`.
  public static Activation relu() {
    return new Activation("Relu", Tensor::relu);
  }

  /// GELU by the error function.
  public static Activation gelu() {
    return new Activation("Gelu", Tensor::gelu);
  }

  /// GELU by the hyperbolic tangent, as in GPT-2.
  public static Activation geluTanh() {
    return new Activation("GeluTanh", Tensor::geluTanh);
  }

  /// `x·sigmoid(x)`.
  public static Activation silu() {
    return new Activation("Silu", Tensor::silu);
  }

  /// The hyperbolic tangent.
  public static Activation tanh() {
    return new Activation("Tanh", Tensor::tanh);
  }

  /// `1/(1 + e⁻ˣ)`.
  public static Activation sigmoid() {
    return new Activation("Sigmoid", Tensor::sigmoid);
  }

  @Override
  public Tensor forward(Tensor x) {
    return function.apply(x);
  }

  @Override
  public String toString() {
    return name;
  }
}
