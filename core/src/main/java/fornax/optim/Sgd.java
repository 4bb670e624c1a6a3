package fornax.optim;

import fornax.backend.NdArray;
import fornax.backend.SgdFactors;
import fornax.backend.SgdSlot;
import fornax.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/// Stochastic gradient descent with momentum: `g ← gradient + decay·p; v ← momentum·v + g; p ← p −
/// rate·v`, or, in Nesterov's form, `p ← p − rate·(g + momentum·v)`. Source: Sutskever et al., ICML
/// 2013, as PyTorch words it.
///
/// The state is `velocity.PATH` for each parameter.
public final class Sgd extends Optimizer {
  private static final String VELOCITY = "velocity.";

  private final double momentum;
  private final boolean nesterov;

  /// Without momentum.
  public Sgd(List<ParameterGroup> groups, Schedule schedule) {
    this(groups, schedule, 0, false);
  }

  /// @throws IllegalArgumentException if the momentum is outside `[0, 1)`, or is 0 in Nesterov's
  ///   form, or if there is no parameter, one stands in two groups, or one is not contiguous F32 on
  ///   the device of the others
  public Sgd(List<ParameterGroup> groups, Schedule schedule, double momentum, boolean nesterov) {
    Checks.fraction("momentum", momentum);
    if (nesterov && momentum == 0) {
      throw new IllegalArgumentException(
          "sgd: Nesterov's form without momentum; got momentum 0; need more than 0");
    }
    super(groups, schedule, SgdFactors.COUNT);
    this.momentum = momentum;
    this.nesterov = nesterov;
    for (ParameterGroup group : groups) {
      group.parameters().forEach((path, parameter) -> addState(VELOCITY + path, parameter));
    }
  }

  @Override
  float[] factors(double rate, ParameterGroup group, long step) {
    return SgdFactors.of(rate, momentum, group.weightDecay(), nesterov);
  }

  @Override
  void update(Map<String, Tensor> parameters, NdArray factors, NdArray scale) {
    List<SgdSlot> slots = new ArrayList<>(parameters.size());
    parameters.forEach(
        (path, parameter) ->
            slots.add(
                new SgdSlot(
                    parameter.array(),
                    Objects.requireNonNull(parameter.gradArray()),
                    state(VELOCITY + path),
                    parameter.workingArray())));
    backend().sgd(slots, factors, scale);
  }
}
