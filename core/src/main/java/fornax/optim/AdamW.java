package fornax.optim;

import fornax.backend.AdamWFactors;
import fornax.backend.AdamWSlot;
import fornax.backend.NdArray;
import fornax.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/// Adam with decoupled weight decay: `p ← (1 − rate·decay)·p; m ← β₁m + (1 − β₁)g; v ← β₂v + (1 −
/// β₂)g²; p ← p − rate·m̂/(√v̂ + ε)`, with `m̂ = m/(1 − β₁ᵗ)` and `v̂ = v/(1 − β₂ᵗ)`. Source:
/// arXiv:1711.05101, algorithm 2.
///
/// The state is `firstMoment.PATH` and `secondMoment.PATH` for each parameter.
public final class AdamW extends Optimizer {
  private static final String FIRST = "firstMoment.";
  private static final String SECOND = "secondMoment.";

  private final Options options;

  /// The numbers beside rate and decay.
  public record Options(double beta1, double beta2, double epsilon) {
    /// PyTorch's: 0.9, 0.999 and 1e-8.
    public static final Options DEFAULT = new Options(0.9, 0.999, 1e-8);

    /// @throws IllegalArgumentException if a beta is outside `[0, 1)`, or epsilon is negative
    public Options {
      Checks.fraction("beta1", beta1);
      Checks.fraction("beta2", beta2);
      Checks.rate("epsilon", epsilon);
    }

    public Options withBetas(double first, double second) {
      return new Options(first, second, epsilon);
    }

    public Options withEpsilon(double value) {
      return new Options(beta1, beta2, value);
    }
  }

  public AdamW(List<ParameterGroup> groups, Schedule schedule) {
    this(groups, schedule, Options.DEFAULT);
  }

  /// @throws IllegalArgumentException if there is no parameter, one stands in two groups, or one is
  ///   not contiguous F32 on the device of the others
  public AdamW(List<ParameterGroup> groups, Schedule schedule, Options options) {
    super(groups, schedule, AdamWFactors.COUNT);
    this.options = options;
    for (ParameterGroup group : groups) {
      group
          .parameters()
          .forEach(
              (path, parameter) -> {
                addState(FIRST + path, parameter);
                addState(SECOND + path, parameter);
              });
    }
  }

  @Override
  float[] factors(double rate, ParameterGroup group, long step) {
    return AdamWFactors.of(
        rate, options.beta1(), options.beta2(), options.epsilon(), group.weightDecay(), step + 1);
  }

  @Override
  void update(Map<String, Tensor> parameters, NdArray factors, NdArray scale) {
    List<AdamWSlot> slots = new ArrayList<>(parameters.size());
    parameters.forEach(
        (path, parameter) ->
            slots.add(
                new AdamWSlot(
                    parameter.array(),
                    Objects.requireNonNull(parameter.gradArray()),
                    state(FIRST + path),
                    state(SECOND + path),
                    parameter.workingArray())));
    backend().adamW(slots, factors, scale);
  }
}
