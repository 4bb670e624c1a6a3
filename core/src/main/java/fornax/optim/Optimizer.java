package fornax.optim;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.NdArray;
import fornax.backend.OperationEvent;
import fornax.backend.Owner;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/// Changes parameters by their gradients.
///
/// ```java
/// try (var optimizer = new AdamW(ParameterGroup.of(model.parameters(), 0.01), Schedule.constant(1e-3))) {
///   for (int i = 0; i < steps; i++) {
///     try (var scope = Scope.open()) {
///       model.loss(x, y).backward();
///       optimizer.step();
///       optimizer.zeroGrad();
///     }
///   }
/// }
/// ```
///
/// Gradients add up until [#zeroGrad()], so several backward passes may precede a step. A parameter
/// without a gradient is left alone. All state is allocated at the start; a step enqueues work and
/// waits for nothing.
public abstract class Optimizer implements AutoCloseable {
  private final Backend backend;
  private final List<ParameterGroup> groups;
  private final Schedule schedule;
  private final SequencedMap<String, Tensor> parameters = new LinkedHashMap<>();
  private final SequencedMap<String, Tensor> state = new LinkedHashMap<>();
  private final List<Tensor> factors = new ArrayList<>();
  private final Tensor one;
  private long steps;

  /// @throws IllegalArgumentException if there is no parameter, one stands in two groups, or one is
  ///   not contiguous F32 on the device of the others
  Optimizer(List<ParameterGroup> groups, Schedule schedule, int factorCount) {
    this.groups = List.copyOf(groups);
    this.schedule = schedule;
    for (ParameterGroup group : groups) {
      for (Map.Entry<String, Tensor> entry : group.parameters().entrySet()) {
        if (parameters.put(entry.getKey(), entry.getValue()) != null) {
          throw new IllegalArgumentException(
              "optimizer: parameter in two groups; got " + entry.getKey() + " twice");
        }
      }
    }
    if (parameters.isEmpty()) {
      throw new IllegalArgumentException("optimizer: no parameters; need at least one");
    }
    backend = parameters.firstEntry().getValue().backend();
    parameters.forEach(this::check);
    one = own(Tensors.on(backend).ones(DType.F32, Shape.scalar()));
    for (int i = 0; i < groups.size(); i++) {
      factors.add(own(Tensors.on(backend).zeros(DType.F32, Shape.of(factorCount))));
    }
  }

  private void check(String path, Tensor parameter) {
    if (parameter.dtype() != DType.F32
        || !parameter.array().isContiguous()
        || parameter.backend() != backend) {
      throw new IllegalArgumentException(
          "optimizer: parameter not usable; got "
              + path
              + " "
              + parameter.array()
              + " on "
              + parameter.backend().id()
              + "; need contiguous F32 on "
              + backend.id());
    }
  }

  private static Tensor own(Tensor tensor) {
    Tensor owned = tensor.escape();
    owned.array().buffer().setOwner(Owner.OPTIMIZER);
    return owned;
  }

  /// A zeroed tensor of the parameter's shape, part of the state under `name`.
  final void addState(String name, Tensor parameter) {
    state.put(name, own(Tensors.on(backend).zeros(DType.F32, parameter.shape())));
  }

  final Backend backend() {
    return backend;
  }

  final NdArray state(String name) {
    Tensor tensor = state.get(name);
    if (tensor == null) {
      throw new IllegalArgumentException("optimizer: no state of the name " + name);
    }
    return tensor.array();
  }

  /// The numbers of step `step`, counted from 0, for one group.
  abstract float[] factors(double rate, ParameterGroup group, long step);

  /// Enqueues the step for one group's parameters that have gradients, and for the 16-bit copies
  /// that some of them have.
  abstract void update(Map<String, Tensor> parameters, NdArray factors, NdArray scale);

  /// One step, at the schedule's rate, with the gradients as they are.
  public final void step() {
    step(one.array());
  }

  /// One step with all gradients multiplied by `scale`, an F32 scalar on the device that
  /// [GradientClip] makes. Where it is not finite, neither parameters nor state change, though
  /// [#steps()] goes on. Where memory runs out, a group of parameters is changed whole or not at
  /// all; on the CPU, CUDA and OpenCL a step needs no memory.
  public final void step(NdArray scale) {
    begin();
    try {
      apply(scale);
    } catch (RuntimeException | Error e) {
      steps--;
      throw e;
    }
  }

  /// The part of a step that differs from step to step: the device gets the numbers of the next
  /// one, and [#steps()] goes on. [#apply(NdArray)] must follow.
  public final void begin() {
    double rate = rate();
    for (int i = 0; i < groups.size(); i++) {
      float[] numbers = factors(rate, groups.get(i), steps);
      backend.upload(MemorySegment.ofArray(numbers), factors.get(i).array());
    }
    steps++;
  }

  /// The part of a step that is the same in all, which may be captured: the gradients' effect by
  /// the numbers of [#begin()], as in [#step(NdArray)].
  public final void apply(NdArray scale) {
    OperationEvent event = OperationEvent.start();
    for (int i = 0; i < groups.size(); i++) {
      ParameterGroup group = groups.get(i);
      NdArray numbers = factors.get(i).array();
      SequencedMap<String, Tensor> ready = new LinkedHashMap<>();
      group
          .parameters()
          .forEach(
              (path, parameter) -> {
                if (parameter.gradArray() != null) {
                  ready.put(path, parameter);
                }
              });
      update(ready, numbers, scale);
      ready.values().forEach(Tensor::updated);
    }
    if (event != null) {
      event.end(getClass().getSimpleName(), false, backend, parameters.size() + " parameters");
    }
  }

  /// Forgets the gradients.
  public final void zeroGrad() {
    parameters.values().forEach(Tensor::zeroGrad);
  }

  /// The rate that the next step will have.
  public final double rate() {
    return schedule.rate(steps);
  }

  /// The number of steps taken.
  public final long steps() {
    return steps;
  }

  /// The parameters of all groups.
  public final Collection<Tensor> parameters() {
    return Collections.unmodifiableCollection(parameters.values());
  }

  /// The state by name, for checkpoints: the live tensors, to be saved, or to be loaded into before
  /// [#resume(long)].
  public final SequencedMap<String, Tensor> state() {
    return Collections.unmodifiableSequencedMap(state);
  }

  /// Goes on as if `steps` steps had been taken; the state must be that of then.
  ///
  /// @throws IllegalArgumentException if `steps` is negative
  public final void resume(long steps) {
    if (steps < 0) {
      throw new IllegalArgumentException(
          "resume: negative number of steps; got " + steps + "; need at least 0");
    }
    this.steps = steps;
  }

  /// Gives the memory of the state back; parameters and gradients stay. Closing twice does nothing.
  @Override
  public void close() {
    state.values().forEach(Tensor::close);
    factors.forEach(Tensor::close);
    one.close();
  }
}
