package fornax.nn;

import fornax.array.ShapeException;
import fornax.backend.Unary;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// `y = activation(x·weight + bias)`. Shapes: `x [.., in], weight [in, out], bias [out] → y [..,
/// out]`.
///
/// As in PyTorch, weight and bias start uniform in `[−1/√in, 1/√in)`, where [Options] don't say
/// otherwise.
public final class Linear extends Layer {
  private final Tensor weight;
  private final @Nullable Tensor bias;
  private final @Nullable Unary activation;
  private @Nullable LoraAdapter adapter;

  /// What a layer may differ in.
  ///
  /// @param weight how the weight starts; null: uniform, as above
  /// @param bias how the bias starts; null: uniform, as above
  /// @param hasBias whether there is a bias
  /// @param activation the function computed in the same pass; null: none
  public record Options(
      @Nullable Initializer weight,
      @Nullable Initializer bias,
      boolean hasBias,
      @Nullable Unary activation) {
    /// With a bias, without an activation, uniform at first.
    public static final Options DEFAULT = new Options(null, null, true, null);

    public Options withWeight(Initializer initializer) {
      return new Options(initializer, bias, hasBias, activation);
    }

    public Options withBias(Initializer initializer) {
      return new Options(weight, initializer, true, activation);
    }

    public Options withoutBias() {
      return new Options(weight, null, false, activation);
    }

    public Options withActivation(Unary function) {
      return new Options(weight, bias, hasBias, function);
    }
  }

  public Linear(Weights weights, long in, long out) {
    this(weights, in, out, Options.DEFAULT);
  }

  public Linear(Weights weights, long in, long out, Unary activation) {
    this(weights, in, out, Options.DEFAULT.withActivation(activation));
  }

  public Linear(Weights weights, long in, long out, Options options) {
    Initializer uniform = Initializer.uniform(1 / Math.sqrt(Math.max(1, in)));
    weight = workingParameter("weight", weights.create(orElse(options.weight(), uniform), in, out));
    bias =
        options.hasBias()
            ? parameter("bias", weights.create(orElse(options.bias(), uniform), out))
            : null;
    activation = options.activation();
  }

  private static Initializer orElse(@Nullable Initializer chosen, Initializer otherwise) {
    return chosen == null ? otherwise : chosen;
  }

  /// @throws ShapeException if the last axis of `x` is not `in`
  @Override
  public Tensor forward(Tensor x) {
    LoraAdapter added = adapter;
    if (added != null) {
      return adapted(x, added);
    }
    Tensor lowered = lowered(x);
    Tensor y = lowered.linear(weight.working(), bias, activation);
    if (lowered != x) {
      lowered.close();
    }
    return y;
  }

  private Tensor adapted(Tensor x, LoraAdapter added) {
    try (var scope = Scope.open()) {
      Tensor lowered = lowered(x);
      Tensor y = lowered.linear(weight.working(), bias, null).add(added.forward(lowered));
      return scope.keep(activation == null ? y : y.unary(activation));
    }
  }

  /// What [Lora] adds to this; null: nothing.
  @Nullable LoraAdapter adapter() {
    return adapter;
  }

  void adapt(LoraAdapter added) {
    adapter = addChild("lora", added);
  }

  /// Makes the adapter, if there is one, part of the weight.
  void mergeAdapter() {
    LoraAdapter added = adapter;
    if (added != null) {
      added.addTo(weight);
      removeChild("lora");
      adapter = null;
    }
  }

  /// The weight, `[in, out]`.
  public Tensor weight() {
    return weight;
  }

  /// The bias, `[out]`, or null.
  public @Nullable Tensor bias() {
    return bias;
  }
}
