package fornax.conformance;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.AdamWFactors;
import fornax.backend.AdamWSlot;
import fornax.backend.Backend;
import fornax.backend.NdArray;
import fornax.backend.Unary;
import fornax.io.HostTensor;
import fornax.io.SafeTensors;
import fornax.tensor.AttentionSpec;
import fornax.tensor.GradMode;
import fornax.tensor.Residual;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/// The golden GPT-2: pre-LN blocks, learned positions, tanh GELU, the head tied to the token
/// embedding. Source: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019,
/// with the names of Hugging Face's checkpoints.
final class GoldenGpt {
  private static final double LAYER_NORM_EPSILON = 1e-5;

  // How the golden numbers were trained: AdamW with weight decay on matrices, gradients clipped.
  private static final double RATE = 1e-3;
  private static final double BETA_1 = 0.9;
  private static final double BETA_2 = 0.95;
  private static final double ADAM_EPSILON = 1e-8;
  private static final double WEIGHT_DECAY = 0.1;
  private static final double MAX_NORM = 1;

  // A tenth of the error that gradients may have, relative to a parameter's largest.
  private static final double GRADIENT_ERROR = 1e-6;

  private static final Pattern STEP = Pattern.compile("f64\\.step(\\d+)\\..*");

  // In 16 bits, of single logits: a layer rounds about nine times on the way, and errors that are
  // independent add up to the root. Losses and gradients are sums over many tokens, where these
  // errors cancel.
  private static final int ROUNDINGS_OF_A_LAYER = 3;

  private final DType precision;
  private final String model;
  private final Backend backend;
  private final SafeTensors weights;
  private final SafeTensors golden;
  private final int layers;
  private final int heads;
  private final double tolerance;
  private final double logitsTolerance;
  private final List<CaseResult> results = new ArrayList<>();
  private final Map<String, Tensor> parameters = new LinkedHashMap<>();

  /// @param precision F32; or BF16 or F16, which activations and the copies of matrices then are:
  ///   weights after steps and greedy tokens are not compared
  GoldenGpt(Backend backend, SafeTensors weights, SafeTensors golden, DType precision)
      throws IOException {
    this.precision = precision;
    this.model =
        precision == DType.F32 ? "gpt2" : "gpt2." + precision.name().toLowerCase(Locale.ROOT);
    this.backend = backend;
    this.weights = weights;
    this.golden = golden;
    this.layers = metadata("n_layer");
    this.heads = metadata("n_head");
    this.tolerance = Tolerance.bound(precision, metadata("n_embd"), 1);
    this.logitsTolerance =
        Tolerance.bound(precision, metadata("n_embd"), ROUNDINGS_OF_A_LAYER * layers);
  }

  private int metadata(String name) throws IOException {
    String value = weights.metadata().get(name);
    if (value == null) {
      throw new IOException("golden: no metadata " + name + " in the weights' file");
    }
    return Integer.parseInt(value);
  }

  List<CaseResult> run() throws IOException {
    try (var _ = Scope.open()) {
      for (String name : weights.names()) {
        Tensor parameter = Golden.tensor(backend, weights.entry(name)).requiresGrad(true);
        boolean low = precision.isHalf() && parameter.rank() == 2;
        parameters.put(name, parameter.keepWorkingCopy(low ? precision : null));
      }
      if (precision == DType.F32) {
        greedy();
      }
      train();
    }
    return results;
  }

  // ---- the model

  // tokens [B, T] → logits [B, T, V]
  private Tensor logits(Tensor tokens) {
    Tensor x =
        working("wte.weight")
            .embedding(tokens)
            .add(working("wpe.weight").slice(0, 0, tokens.dim(1)));
    Residual stream = new Residual(x, norm(x, "h.0.ln_1"));
    for (int layer = 0; layer < layers; layer++) {
      String h = "h." + layer + ".";
      Tensor qkv = linear(stream.normal(), h + "attn.c_attn", null);
      Tensor attended = Tensor.selfAttention(qkv, heads, AttentionSpec.CAUSAL);
      stream = add(stream, linear(attended, h + "attn.c_proj", null), h + "ln_2");
      Tensor wide = linear(stream.normal(), h + "mlp.c_fc", Unary.GELU_TANH);
      String next = layer + 1 < layers ? "h." + (layer + 1) + ".ln_1" : "ln_f";
      stream = add(stream, linear(wide, h + "mlp.c_proj", null), next);
    }
    return stream.normal().matmul(working("wte.weight").transpose());
  }

  private Tensor linear(Tensor x, String name, @Nullable Unary activation) {
    return x.linear(working(name + ".weight"), parameter(name + ".bias"), activation);
  }

  private Tensor norm(Tensor x, String name) {
    return x.layerNorm(parameter(name + ".weight"), parameter(name + ".bias"), LAYER_NORM_EPSILON);
  }

  private Residual add(Residual stream, Tensor addend, String norm) {
    return stream
        .sum()
        .addLayerNorm(
            addend, parameter(norm + ".weight"), parameter(norm + ".bias"), LAYER_NORM_EPSILON);
  }

  private Tensor parameter(String name) {
    Tensor parameter = parameters.get(name);
    if (parameter == null) {
      throw new IllegalStateException("golden: no weight " + name);
    }
    return parameter;
  }

  private Tensor working(String name) {
    return parameter(name).working();
  }

  private Tensor tokens(String name) throws IOException {
    HostTensor host = golden.entry(name);
    return Tensors.on(backend).of(host.ints(), host.shape());
  }

  // ---- what is compared

  private void greedy() throws IOException {
    int[] wanted = golden.ints("greedy.tokens");
    int[] tokens = golden.ints("greedy.prompt");
    int prompt = tokens.length;
    try (var _ = GradMode.noGrad()) {
      while (tokens.length < prompt + wanted.length) {
        try (var _ = Scope.open()) {
          Tensor context = Tensors.on(backend).of(tokens, Shape.of(1, tokens.length));
          int next = logits(context).select(1, tokens.length - 1).argmax(-1).toIntArray()[0];
          tokens = Arrays.copyOf(tokens, tokens.length + 1);
          tokens[tokens.length - 1] = next;
        }
      }
    }
    int[] ours = Arrays.copyOfRange(tokens, prompt, tokens.length);
    int differs = Arrays.mismatch(ours, wanted);
    results.add(
        differs < 0
            ? CaseResult.of(model + ".greedy", "F32", 0, 0, wanted.length + " tokens")
            : CaseResult.failed(
                model + ".greedy",
                "F32",
                0,
                "token " + differs + " is " + ours[differs] + ", not " + wanted[differs]));
  }

  private void train() throws IOException {
    Optimizer optimizer = new Optimizer();
    int steps = Math.toIntExact(golden.entry("f64.losses").shape().elements());
    double[] losses = new double[steps];
    double[] norms = new double[steps];
    SortedSet<Integer> checkpoints = checkpoints();
    for (int step = 0; step < steps; step++) {
      try (var _ = Scope.open()) {
        Tensor logits = logits(tokens("inputs." + step));
        Tensor loss = logits.crossEntropy(tokens("targets." + step));
        double[] values = step == 0 ? logits.toDoubleArray() : new double[0];
        loss.backward();
        losses[step] = loss.item();
        if (step == 0) {
          compare(model + ".logits", "logits", values, logitsTolerance);
          compare(model + ".loss", "loss", new double[] {losses[0]}, tolerance);
          compareAll(model + ".gradients", "grad.", this::gradient, (_, all) -> all, tolerance);
        }
      }
      norms[step] = optimizer.step(step + 1);
      if (precision == DType.F32 && checkpoints.contains(step + 1)) {
        checkpoint(step + 1);
      }
    }
    compare(model + ".losses", "losses", losses, tolerance);
    compare(model + ".grad_norms", "grad_norms", norms, tolerance);
  }

  private SortedSet<Integer> checkpoints() {
    SortedSet<Integer> steps = new TreeSet<>();
    for (String name : golden.names()) {
      Matcher step = STEP.matcher(name);
      if (step.matches()) {
        steps.add(Integer.valueOf(step.group(1)));
      }
    }
    return steps;
  }

  // AdamW divides a gradient by its own size, however small. The true gradient of the keys' biases
  // is 0, because softmax ignores a shift; in F32 it is rounding noise, which AdamW scales up to as
  // much as the rate in every step. The same happens to the few elements whose true gradient, in
  // the first step, is that small: these may be that far off, and are looked at apart.
  private void checkpoint(int step) throws IOException {
    String op = model + ".step" + step;
    String prefix = "step" + step + ".";
    Map<String, boolean[]> noise = noise();
    Function<String, double[]> ours = name -> parameter(name).toDoubleArray();
    compareAll(op, prefix, ours, (name, values) -> pick(values, noise.get(name), false), tolerance);
    compareAll(
        op + ".noise",
        prefix,
        ours,
        (name, values) -> pick(values, noise.get(name), true),
        RATE * step);
  }

  // Where a parameter's update is noise: the keys' biases, and the elements (but for those whose
  // gradient is 0, which it is in F32 as well) that a small error of the gradient would move too
  // far. With the clipped gradient g the first update is rate·g / (|g| + ε), so an error δ of g
  // moves
  // the weight by rate·δ·ε / (|g| + ε)².
  private Map<String, boolean[]> noise() throws IOException {
    double clip = Math.min(1, MAX_NORM / (golden.doubles("f64.grad_norms")[0] + 1e-6));
    Map<String, boolean[]> noise = new LinkedHashMap<>();
    for (String name : parameters.keySet()) {
      double[] gradient = golden.doubles("f64.grad." + name);
      double largest = Arrays.stream(gradient).map(Math::abs).max().orElse(0);
      boolean[] is = new boolean[gradient.length];
      boolean hasKeys = name.endsWith("attn.c_attn.bias");
      for (int i = 0; i < is.length; i++) {
        boolean key = hasKeys && i / (is.length / 3) == 1;
        double g = clip * Math.abs(gradient[i]);
        double slope = RATE * ADAM_EPSILON / ((g + ADAM_EPSILON) * (g + ADAM_EPSILON));
        is[i] = key || (g > 0 && slope * clip * largest * GRADIENT_ERROR > tolerance);
      }
      noise.put(name, is);
    }
    return noise;
  }

  private static double[] pick(double[] values, boolean @Nullable [] noise, boolean wanted) {
    boolean[] is = Objects.requireNonNull(noise);
    return IntStream.range(0, values.length)
        .filter(i -> is[i] == wanted)
        .mapToDouble(i -> values[i])
        .toArray();
  }

  /// The part of a parameter that is compared.
  private interface Part {
    double[] of(String name, double[] values);
  }

  // The largest error over all parameters, whose results are called `prefix` and their name.
  private void compareAll(
      String op, String prefix, Function<String, double[]> ours, Part part, double allowed)
      throws IOException {
    double worst = 0;
    double twin = 0;
    long compared = 0;
    String where = "";
    for (String name : parameters.keySet()) {
      double[] truth = part.of(name, golden.doubles("f64." + prefix + name));
      double error = Tolerance.error(part.of(name, ours.apply(name)), truth);
      if (error > worst) {
        worst = error;
        where = " in " + name;
      }
      twin = Math.max(twin, twinError(prefix + name, truth, name, part));
      compared += truth.length;
    }
    String note = "worst of " + compared + " elements" + where;
    results.add(CaseResult.of(op, precision.name(), worst, allowed, note + twinNote(", ", twin)));
  }

  private void compare(String op, String key, double[] ours, double allowed) throws IOException {
    double[] truth = golden.doubles("f64." + key);
    double twin = twinError(key, truth, key, (_, values) -> values);
    results.add(
        CaseResult.of(
            op, precision.name(), Tolerance.error(ours, truth), allowed, twinNote("", twin)));
  }

  private double twinError(String key, double[] truth, String name, Part part) throws IOException {
    return golden.contains("f32." + key)
        ? Tolerance.error(part.of(name, golden.doubles("f32." + key)), truth)
        : Double.NaN; // no twin
  }

  private static String twinNote(String before, double twin) {
    return Double.isNaN(twin) ? "" : before + "PyTorch F32 " + Golden.exponent(twin);
  }

  private double[] gradient(String name) {
    Tensor gradient = parameter(name).grad();
    return gradient == null ? new double[0] : gradient.toDoubleArray();
  }

  // ---- AdamW, straight on the backend

  private final class Optimizer {
    private final Map<String, Tensor> first = moments();
    private final Map<String, Tensor> second = moments();

    private Map<String, Tensor> moments() {
      Map<String, Tensor> moments = new LinkedHashMap<>();
      parameters.forEach(
          (name, p) -> moments.put(name, Tensors.on(backend).zeros(DType.F32, p.shape())));
      return moments;
    }

    /// Makes step `step`, counted from 1, and returns the norm of the gradients before clipping.
    double step(int step) {
      try (var _ = Scope.open()) {
        Tensors on = Tensors.on(backend);
        Tensor norm = on.zeros(DType.F32, Shape.scalar());
        Tensor scale = on.zeros(DType.F32, Shape.scalar());
        backend.globalNorm(parameters.values().stream().map(this::gradient).toList(), norm.array());
        backend.clipScale(norm.array(), MAX_NORM, scale.array());
        update(step, WEIGHT_DECAY, scale, p -> p.rank() == 2);
        update(step, 0, scale, p -> p.rank() != 2);
        parameters.values().forEach(Tensor::zeroGrad);
        return norm.item();
      }
    }

    private void update(int step, double decay, Tensor scale, Predicate<Tensor> decays) {
      List<AdamWSlot> slots = new ArrayList<>();
      parameters.forEach(
          (name, p) -> {
            if (decays.test(p)) {
              slots.add(
                  new AdamWSlot(
                      p.array(),
                      gradient(p),
                      array(first, name),
                      array(second, name),
                      p.workingArray()));
            }
          });
      float[] factors = AdamWFactors.of(RATE, BETA_1, BETA_2, ADAM_EPSILON, decay, step);
      Tensor onDevice = Tensors.on(backend).of(factors, Shape.of(factors.length));
      backend.adamW(slots, onDevice.array(), scale.array());
      parameters.values().stream().filter(decays).forEach(Tensor::updated);
    }

    private NdArray gradient(Tensor p) {
      return Objects.requireNonNull(p.gradArray(), "a parameter without gradient");
    }

    private NdArray array(Map<String, Tensor> moments, String name) {
      return Objects.requireNonNull(moments.get(name)).array();
    }
  }
}
