package fornax.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Readback;
import fornax.backend.Unary;
import fornax.optim.AdamW;
import fornax.optim.GradientClip;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.tensor.Generator;
import fornax.tensor.Residual;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.util.LinkedHashMap;
import java.util.SequencedMap;

/// A network with an embedding, a residual stream, dropout, clipping and AdamW, which learns one
/// batch by heart: what the host does round a training step.
final class SmallNetwork implements AutoCloseable {
  private static final int WIDTH = 12;

  private final CudaBackend backend;
  private final Scope scope = Scope.open();
  private final Generator generator;
  private final SequencedMap<String, Tensor> parameters = new LinkedHashMap<>();
  private final AdamW optimizer;
  private final GradientClip clip;

  SmallNetwork(CudaBackend backend) {
    this.backend = backend;
    generator = new Generator(backend, 1);
    Tensors on = Tensors.on(backend);
    parameter("weight", on.randomNormal(generator, 0, 0.1, Shape.of(WIDTH, WIDTH)));
    parameter("bias", on.zeros(DType.F32, Shape.of(WIDTH)));
    parameter("norm", on.ones(DType.F32, Shape.of(WIDTH)));
    parameter("head", on.randomNormal(generator, 0, 0.1, Shape.of(WIDTH, 7)));
    parameter("table", on.randomNormal(generator, 0, 1, Shape.of(9, WIDTH)));
    optimizer = new AdamW(ParameterGroup.of(parameters, 0.1), Schedule.constant(1e-2));
    clip = GradientClip.byGlobalNorm(backend, 1);
  }

  private void parameter(String name, Tensor value) {
    parameters.put(name, value.requiresGrad(true));
  }

  private Tensor get(String name) {
    Tensor parameter = parameters.get(name);
    if (parameter == null) {
      throw new IllegalArgumentException(name);
    }
    return parameter;
  }

  /// Makes a step; the loss before it, on its way.
  Readback step() {
    Tensors on = Tensors.on(backend);
    generator.setStep(generator.step() + 1);
    try (var _ = Scope.open()) {
      Tensor tokens = on.of(new int[] {1, 8, 0, 3, 3, 5}, Shape.of(6));
      Tensor targets = on.of(new int[] {0, 6, 2, 1, 1, 4}, Shape.of(6));
      Tensor x = get("table").embedding(tokens);
      Tensor inner = x.linear(get("weight"), get("bias"), Unary.GELU_TANH);
      Residual y = x.addLayerNorm(inner.dropout(0.1, generator), get("norm"), null, 1e-5);
      Tensor loss = y.sum().add(y.normal()).matmul(get("head")).crossEntropy(targets);
      Readback value = backend.readback(loss.array());
      loss.backward();
      optimizer.step(clip.scale(optimizer.parameters()));
      optimizer.zeroGrad();
      return value;
    }
  }

  /// The losses of `steps` steps, one after the other.
  float[] losses(int steps) {
    float[] losses = new float[steps];
    for (int i = 0; i < steps; i++) {
      losses[i] = step().await().get(JAVA_FLOAT, 0);
    }
    return losses;
  }

  @Override
  public void close() {
    clip.close();
    optimizer.close();
    generator.close();
    scope.close();
  }
}
