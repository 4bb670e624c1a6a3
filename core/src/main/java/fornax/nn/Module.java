package fornax.nn;

import com.google.errorprone.annotations.MustBeClosed;
import fornax.array.DType;
import fornax.backend.Owner;
import fornax.tensor.Numerics;
import fornax.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/// Something with parameters: a layer, a block of layers, a model.
///
/// A constructor names what the module is made of, by [#parameter(String, Tensor)] and
/// [#child(String, Module)]; a parameter's path is the names from the outermost module to it, such
/// as `blocks.0.attention.qkv.weight`. A module owns its parameters: they belong to no scope, and
/// [#close()] gives their memory back. What it computes it offers as methods; modules that map one
/// tensor to one are [Layer]s.
///
/// ```java
/// final class Scale extends Layer {
///   private final Tensor factor;
///
///   Scale(Weights weights, long width) {
///     factor = parameter("factor", weights.create(Initializer.ones(), width));
///   }
///
///   @Override
///   public Tensor forward(Tensor x) {
///     return x.mul(factor);
///   }
/// }
/// ```
public abstract class Module implements AutoCloseable {
  private final SequencedMap<String, Tensor> parameters = new LinkedHashMap<>();
  private final SequencedMap<String, Tensor> buffers = new LinkedHashMap<>();
  private final SequencedMap<String, Module> children = new LinkedHashMap<>();
  private final List<Tensor> working = new ArrayList<>();
  private boolean training = true;
  private Precision precision = Precision.F32;

  /// A module without parameters yet, in training mode.
  protected Module() {}

  /// Registers `value` as the parameter `name` and returns it: a leaf that takes a gradient,
  /// counted as a parameter, outside all scopes.
  ///
  /// @throws IllegalArgumentException if the name is empty, has a dot or is taken, or if the type
  ///   has no gradients
  protected final Tensor parameter(String name, Tensor value) {
    checkName(name);
    if (!value.dtype().isFloating()) {
      throw new IllegalArgumentException(
          "parameter: type without gradients; got "
              + value.dtype()
              + " "
              + value.shape()
              + " for "
              + name
              + "; need a floating type");
    }
    Tensor parameter = value.escape().requiresGrad(true);
    parameter.array().buffer().setOwner(Owner.PARAMETERS);
    parameters.put(name, parameter);
    return parameter;
  }

  /// Registers `value` as the buffer `name` and returns it: a part of the state that is saved and
  /// loaded but not trained, such as running means. It belongs to no scope and is closed with this.
  ///
  /// @throws IllegalArgumentException if the name is empty, has a dot or is taken
  protected final Tensor buffer(String name, Tensor value) {
    checkName(name);
    Tensor buffer = value.escape();
    buffer.array().buffer().setOwner(Owner.PARAMETERS);
    buffers.put(name, buffer);
    return buffer;
  }

  /// [#parameter(String, Tensor)] for one that takes part in arithmetic in the module's
  /// [Precision]: use [Tensor#working()] of it, and give that operations [#lowered(Tensor)] inputs.
  protected final Tensor workingParameter(String name, Tensor value) {
    Tensor parameter = parameter(name, value);
    working.add(parameter);
    return parameter;
  }

  /// `x` in the type that the module passes on, which is what [Tensor#working()] parameters are
  /// computed with: converted from F32 in a precision of 16 bits, else as it is.
  protected final Tensor lowered(Tensor x) {
    DType type = precision.activations();
    return type.isHalf() && x.dtype() == DType.F32 ? x.to(type) : x;
  }

  /// Registers `module` as the part `name` and returns it; it is closed with this module.
  ///
  /// @throws IllegalArgumentException if the name is empty, has a dot or is taken
  protected final <M extends Module> M child(String name, M module) {
    checkName(name);
    children.put(name, module);
    return module;
  }

  /// [#child(String, Module)] for a part that is made after the constructor: it gets this module's
  /// mode and precision.
  final <M extends Module> M addChild(String name, M module) {
    M added = child(name, module);
    if (training) {
      added.train();
    } else {
      added.eval();
    }
    added.computeIn(precision);
    return added;
  }

  /// Takes the part `name` out and closes it.
  final void removeChild(String name) {
    Module removed = children.remove(name);
    if (removed != null) {
      removed.close();
    }
  }

  private void checkName(String name) {
    if (name.isEmpty()
        || name.indexOf('.') >= 0
        || parameters.containsKey(name)
        || buffers.containsKey(name)
        || children.containsKey(name)) {
      throw new IllegalArgumentException(
          getClass().getSimpleName()
              + ": name not usable; got \""
              + name
              + "\"; need one without dots that is not among "
              + parameters.keySet()
              + (buffers.isEmpty() ? "" : ", " + buffers.keySet())
              + " and "
              + children.keySet());
    }
  }

  /// All parameters, the parts' included, by path, in the order of registration.
  public final SequencedMap<String, Tensor> parameters() {
    SequencedMap<String, Tensor> all = new LinkedHashMap<>();
    collect("", all);
    return Collections.unmodifiableSequencedMap(all);
  }

  private void collect(String prefix, Map<String, Tensor> all) {
    parameters.forEach((name, tensor) -> all.put(prefix + name, tensor));
    children.forEach((name, module) -> module.collect(prefix + name + ".", all));
  }

  /// Those of [#parameters()] that are trained: all, but for what [#freeze()] has frozen.
  public final SequencedMap<String, Tensor> trainableParameters() {
    SequencedMap<String, Tensor> all = new LinkedHashMap<>();
    parameters()
        .forEach(
            (path, parameter) -> {
              if (parameter.requiresGrad()) {
                all.put(path, parameter);
              }
            });
    return Collections.unmodifiableSequencedMap(all);
  }

  /// Takes all parameters of now, here and in the parts, out of training: no gradients are computed
  /// for them.
  public final void freeze() {
    for (Tensor parameter : parameters().values()) {
      Tensor _ = parameter.requiresGrad(false);
    }
  }

  /// All parameters and buffers, the parts' included, by path, in the order of registration: what
  /// is saved.
  public final SequencedMap<String, Tensor> state() {
    SequencedMap<String, Tensor> all = new LinkedHashMap<>();
    collectState("", all);
    return Collections.unmodifiableSequencedMap(all);
  }

  private void collectState(String prefix, Map<String, Tensor> all) {
    parameters.forEach((name, tensor) -> all.put(prefix + name, tensor));
    buffers.forEach((name, tensor) -> all.put(prefix + name, tensor));
    children.forEach((name, module) -> module.collectState(prefix + name + ".", all));
  }

  /// The parts by name, in the order of registration.
  public final SequencedMap<String, Module> children() {
    return Collections.unmodifiableSequencedMap(children);
  }

  /// The parameters registered here, without those of the parts.
  final SequencedMap<String, Tensor> ownParameters() {
    return parameters;
  }

  /// The number of elements in all parameters.
  public final long parameterCount() {
    return parameters().values().stream().mapToLong(Tensor::elements).sum();
  }

  /// Turns on what belongs to training alone (dropout), here and in all parts.
  public final void train() {
    setTraining(true);
  }

  /// Turns off what belongs to training alone.
  public final void eval() {
    setTraining(false);
  }

  private void setTraining(boolean on) {
    training = on;
    children.values().forEach(module -> module.setTraining(on));
  }

  /// Whether this is in training mode, as it is when it is made.
  public final boolean isTraining() {
    return training;
  }

  /// Computes in `precision` from now on, here and in all parts; a new module computes in F32. The
  /// parameters stay F32: gradients, optimisers and files see no difference. For [Precision#BF16]
  /// and [Precision#F16] matrices get their 16-bit copies; they follow what changes the parameters.
  /// For [Precision#TF32] the device's products change, for all that compute on it, until a module
  /// of its computes in another.
  ///
  /// @throws fornax.backend.DeviceException if the parameters' device has no such products
  public final void computeIn(Precision precision) {
    for (Tensor parameter : parameters.values()) {
      parameter.backend().multiplyInTf32(precision == Precision.TF32);
    }
    this.precision = precision;
    for (Tensor parameter : working) {
      Tensor _ = parameter.keepWorkingCopy(precision.copies());
    }
    children.values().forEach(module -> module.computeIn(precision));
  }

  /// What this computes in.
  public final Precision precision() {
    return precision;
  }

  /// Forgets all gradients.
  public final void zeroGrad() {
    parameters().values().forEach(Tensor::zeroGrad);
  }

  /// Watches this thread's operations for NaN and infinity until the result is closed, and names
  /// the layers and parameters of this module where it finds them.
  ///
  /// An operation that reads a parameter is in that parameter's layer. For others the layer is
  /// worked out from the classes on the call stack and the parameter read last.
  @MustBeClosed
  public final Numerics checkNumerics() {
    return Numerics.check(state(), new ModuleLayers(this));
  }

  /// A table of the layers: path, type, shapes of the parameters, their number and bytes, and the
  /// totals.
  public final String summary() {
    return Summary.of(this);
  }

  /// The name under which the parameter or buffer at `path` stands in a file. A model overrides
  /// this where other programs use other names.
  protected String storedName(String path) {
    return path;
  }

  /// Writes all parameters and buffers to a `.safetensors` file, replacing it as a whole.
  ///
  /// @throws IOException if it cannot be written; the old contents are then still there
  public final void save(Path file) throws IOException {
    save(file, Map.of());
  }

  /// Writes all parameters and buffers with `metadata` to a `.safetensors` file, replacing it as a
  /// whole.
  ///
  /// @throws IOException if it cannot be written; the old contents are then still there
  public final void save(Path file, Map<String, String> metadata) throws IOException {
    TensorFile.save(file, storedParameters(), metadata);
  }

  /// Reads all parameters and buffers from a `.safetensors` file. Names and shapes are checked
  /// before the first parameter changes.
  ///
  /// @return the file's metadata
  /// @throws IOException if the file cannot be read, is corrupt, lacks a parameter, holds another
  ///   tensor, or one of another shape; the message names all of these
  public final Map<String, String> load(Path file) throws IOException {
    return TensorFile.load(file, storedParameters());
  }

  /// All parameters and buffers by the name they have in a file.
  public final SequencedMap<String, Tensor> storedParameters() {
    SequencedMap<String, Tensor> stored = new LinkedHashMap<>();
    state().forEach((path, tensor) -> stored.put(storedName(path), tensor));
    return Collections.unmodifiableSequencedMap(stored);
  }

  /// Gives the memory of all parameters and buffers back. Closing twice does nothing.
  @Override
  public void close() {
    children.values().forEach(Module::close);
    parameters.values().forEach(Tensor::close);
    buffers.values().forEach(Tensor::close);
  }

  @Override
  public String toString() {
    return getClass().getSimpleName();
  }
}
