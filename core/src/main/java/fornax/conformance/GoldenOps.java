package fornax.conformance;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.AdamWFactors;
import fornax.backend.AdamWSlot;
import fornax.backend.Backend;
import fornax.backend.Conv2dOptions;
import fornax.backend.NdArray;
import fornax.backend.Pool2dOptions;
import fornax.io.HostTensor;
import fornax.tensor.AttentionSpec;
import fornax.tensor.LossOptions;
import fornax.tensor.Reduction;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// How each operator of the golden numbers is written with [Tensor].
final class GoldenOps {
  private GoldenOps() {}

  /// Why the case cannot be run, or null.
  static @Nullable String unsupported(Golden.Case golden) {
    return switch (golden.op()) {
      case "matmul",
          "softmax",
          "log_softmax",
          "layernorm",
          "gelu_tanh",
          "gelu_erf",
          "silu",
          "relu",
          "tanh",
          "sigmoid",
          "causal_attention",
          "cross_entropy",
          "embedding",
          "conv2d",
          "max_pool2d",
          "avg_pool2d",
          "batch_norm",
          "sort",
          "cumsum",
          "logsumexp",
          "var",
          "cosine_similarity",
          "logsigmoid",
          "bce_with_logits",
          "mse",
          "adamw",
          "clip_grad_norm" ->
          null;
      default -> "no operator of this name is known";
    };
  }

  /// Runs the case: what the file calls `out`, `grad.x` and so on.
  static Map<String, double[]> run(Backend backend, Golden.Case golden) throws IOException {
    try (var _ = Scope.open()) {
      return switch (golden.op()) {
        case "adamw" -> adamW(backend, golden);
        case "clip_grad_norm" -> clip(backend, golden);
        default -> function(backend, golden);
      };
    }
  }

  private static Map<String, double[]> function(Backend backend, Golden.Case golden)
      throws IOException {
    Map<String, Tensor> inputs = new TreeMap<>();
    for (String name : golden.inputs().keySet()) {
      inputs.put(name, golden.input(backend, name));
    }
    Tensor y = apply(golden, inputs);
    Map<String, double[]> results = new TreeMap<>();
    results.put("out", y.toDoubleArray());
    HostTensor dy = golden.outputGradient();
    if (dy != null) {
      y.backward(Tensors.on(backend).of(dy.doubles(), DType.F32, y.shape()));
      inputs.forEach(
          (name, input) -> {
            Tensor grad = input.grad();
            if (grad != null) {
              results.put("grad." + name, grad.toDoubleArray());
            }
          });
    }
    return results;
  }

  private static Tensor apply(Golden.Case golden, Map<String, Tensor> inputs) throws IOException {
    Parameters with = golden.parameters();
    return switch (golden.op()) {
      case "matmul" -> {
        Tensor a = get(golden, inputs, "a");
        Tensor b = get(golden, inputs, "b");
        yield (with.flag("transA") ? a.transpose() : a)
            .matmul(with.flag("transB") ? b.transpose() : b);
      }
      case "embedding" -> get(golden, inputs, "w").embedding(get(golden, inputs, "i"));
      case "conv2d" ->
          get(golden, inputs, "x")
              .conv2d(get(golden, inputs, "w"), inputs.get("b"), conv2dOptions(with));
      case "max_pool2d" -> get(golden, inputs, "x").maxPool2d(pool2dOptions(with));
      case "avg_pool2d" -> get(golden, inputs, "x").avgPool2d(pool2dOptions(with));
      case "batch_norm" -> batchNorm(golden, inputs);
      case "sort" ->
          get(golden, inputs, "x").sort(with.integer("dim"), with.flag("descending")).values();
      case "cumsum" -> get(golden, inputs, "x").cumulativeSum(with.integer("dim"));
      case "logsumexp" -> get(golden, inputs, "x").logSumExp(with.integer("dim"));
      case "var" -> get(golden, inputs, "x").variance(with.integer("dim"));
      case "cosine_similarity" ->
          get(golden, inputs, "a").cosineSimilarity(get(golden, inputs, "b"), with.integer("dim"));
      case "logsigmoid" -> get(golden, inputs, "x").logSigmoid();
      case "bce_with_logits" ->
          get(golden, inputs, "x").binaryCrossEntropyWithLogits(get(golden, inputs, "t"));
      case "mse" -> get(golden, inputs, "x").meanSquaredError(get(golden, inputs, "t"));
      case "causal_attention" ->
          Tensor.attention(
              get(golden, inputs, "q"),
              get(golden, inputs, "k"),
              get(golden, inputs, "v"),
              AttentionSpec.CAUSAL);
      case "cross_entropy" ->
          get(golden, inputs, "x").crossEntropy(get(golden, inputs, "t"), lossOptions(with));
      case "layernorm" -> {
        Tensor x = get(golden, inputs, "x");
        yield golden.hasInput("w")
            ? x.layerNorm(inputs.get("w"), inputs.get("b"), with.number("eps"))
            : x.layerNorm(with.integer("normalized_dims"), with.number("eps"));
      }
      case "softmax" -> get(golden, inputs, "x").softmax(with.integer("dim"));
      case "log_softmax" -> get(golden, inputs, "x").logSoftmax(with.integer("dim"));
      case "gelu_tanh" -> get(golden, inputs, "x").geluTanh();
      case "gelu_erf" -> get(golden, inputs, "x").gelu();
      case "silu" -> get(golden, inputs, "x").silu();
      case "relu" -> get(golden, inputs, "x").relu();
      case "tanh" -> get(golden, inputs, "x").tanh();
      case "sigmoid" -> get(golden, inputs, "x").sigmoid();
      default -> throw new IOException("golden: unknown operator; got " + golden.name());
    };
  }

  private static Tensor get(Golden.Case golden, Map<String, Tensor> inputs, String name)
      throws IOException {
    Tensor input = inputs.get(name);
    if (input == null) {
      throw new IOException("golden: no input " + name + " of " + golden.name());
    }
    return input;
  }

  private static Tensor batchNorm(Golden.Case golden, Map<String, Tensor> inputs)
      throws IOException {
    Tensor x = get(golden, inputs, "x");
    Tensor w = get(golden, inputs, "w");
    Tensor b = get(golden, inputs, "b");
    double epsilon = golden.parameters().number("eps");
    return golden.parameters().flag("training")
        ? x.batchNorm(w, b, epsilon).values()
        : x.batchNorm(w, b, get(golden, inputs, "mean"), get(golden, inputs, "variance"), epsilon);
  }

  private static Pool2dOptions pool2dOptions(Parameters with) throws IOException {
    return Pool2dOptions.of(with.integer("kernel_size"))
        .withStride(with.integer("stride"))
        .withPadding(with.integer("padding"));
  }

  private static Conv2dOptions conv2dOptions(Parameters with) throws IOException {
    return Conv2dOptions.DEFAULT
        .withStride(with.integer("stride"))
        .withPadding(with.integer("padding"))
        .withDilation(with.integer("dilation", 1))
        .withGroups(with.integer("groups", 1));
  }

  private static LossOptions lossOptions(Parameters with) throws IOException {
    return new LossOptions(
        Reduction.valueOf(with.text("reduction").toUpperCase(Locale.ROOT)),
        with.integer("ignore_index"),
        with.number("label_smoothing"));
  }

  // p [n] and the gradients g [steps, n] → the parameter after each step, and both moments.
  private static Map<String, double[]> adamW(Backend backend, Golden.Case golden)
      throws IOException {
    Parameters with = golden.parameters();
    Tensors on = Tensors.on(backend);
    Tensor p = Golden.tensor(backend, golden.host("p"));
    Tensor gradients = Golden.tensor(backend, golden.host("g"));
    Tensor m = on.zeros(DType.F32, p.shape());
    Tensor v = on.zeros(DType.F32, p.shape());
    Tensor scale = on.ones(DType.F32, Shape.scalar());
    int steps = Math.toIntExact(gradients.dim(0));
    int elements = Math.toIntExact(p.elements());
    double[] out = new double[steps * elements];
    for (int step = 0; step < steps; step++) {
      float[] factors =
          AdamWFactors.of(
              with.number("lr"),
              with.number("beta1"),
              with.number("beta2"),
              with.number("eps"),
              with.number("weight_decay"),
              step + 1);
      NdArray gradient = gradients.select(0, step).contiguous().array();
      backend.adamW(
          List.of(new AdamWSlot(p.array(), gradient, m.array(), v.array())),
          on.of(factors, Shape.of(factors.length)).array(),
          scale.array());
      System.arraycopy(p.toDoubleArray(), 0, out, step * elements, elements);
    }
    return Map.of("out", out, "m", m.toDoubleArray(), "v", v.toDoubleArray());
  }

  // All inputs are gradients → their norm, and each of them clipped.
  private static Map<String, double[]> clip(Backend backend, Golden.Case golden)
      throws IOException {
    Map<String, Tensor> gradients = new TreeMap<>();
    List<NdArray> arrays = new ArrayList<>();
    for (Map.Entry<String, HostTensor> input : golden.inputs().entrySet()) {
      Tensor gradient = Golden.tensor(backend, input.getValue());
      gradients.put(input.getKey(), gradient);
      arrays.add(gradient.array());
    }
    Tensor norm = Tensors.on(backend).zeros(DType.F32, Shape.scalar());
    Tensor scale = Tensors.on(backend).zeros(DType.F32, Shape.scalar());
    backend.globalNorm(arrays, norm.array());
    backend.clipScale(norm.array(), golden.parameters().number("max_norm"), scale.array());
    Map<String, double[]> results = new TreeMap<>();
    results.put("norm", norm.toDoubleArray());
    gradients.forEach(
        (name, gradient) -> results.put("out." + name, gradient.mul(scale).toDoubleArray()));
    return results;
  }
}
