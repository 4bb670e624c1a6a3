package fornax.conformance;

import com.google.errorprone.annotations.MustBeClosed;
import fornax.array.DType;
import fornax.backend.Backend;
import fornax.io.CorruptFileException;
import fornax.io.FileDType;
import fornax.io.HostTensor;
import fornax.io.SafeTensors;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// Golden numbers from PyTorch, in float64: operators one by one, and a tiny GPT-2 with its
/// training. They come with Fornax, or lie in a folder of the user's under the same file names.
///
/// Every case is run in F32 through [Tensor], forward and backward, and compared with the float64
/// numbers; where the file also has PyTorch's own float32 numbers, their error stands in the note.
public final class Golden {
  static final String OPERATORS = "ops_golden.safetensors";
  static final String LAYERS = "layers_golden.safetensors";
  static final String MODEL_WEIGHTS = "tiny_gpt2.safetensors";
  static final String MODEL = "tiny_gpt2_golden.safetensors";

  private static final String TWIN = "f32.";

  private final @Nullable Path folder;

  private Golden(@Nullable Path folder) {
    this.folder = folder;
  }

  /// The numbers that come with Fornax.
  public static Golden builtIn() {
    return new Golden(null);
  }

  /// The numbers in `folder`, in which `layers_golden.safetensors` may be missing.
  ///
  /// @throws NoSuchFileException if one of its three other files is missing
  public static Golden in(Path folder) throws NoSuchFileException {
    for (String name : List.of(OPERATORS, MODEL_WEIGHTS, MODEL)) {
      if (!Files.isRegularFile(folder.resolve(name))) {
        throw new NoSuchFileException(folder.resolve(name).toString());
      }
    }
    return new Golden(folder);
  }

  @MustBeClosed
  private SafeTensors open(String name) throws IOException {
    Path given = folder;
    if (given != null) {
      return SafeTensors.open(given.resolve(name));
    }
    try (InputStream in = Golden.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new NoSuchFileException(name);
      }
      return SafeTensors.read(name, in);
    }
  }

  /// Runs every operator's case, in the order of their names.
  ///
  /// @throws IOException if a file cannot be read
  public List<CaseResult> operators(Backend backend) throws IOException {
    SequencedMap<String, CaseResult> results = new TreeMap<>();
    run(backend, OPERATORS, results);
    if (folder == null || Files.isRegularFile(folder.resolve(LAYERS))) {
      run(backend, LAYERS, results);
    }
    return List.copyOf(results.values());
  }

  private void run(Backend backend, String name, Map<String, CaseResult> results)
      throws IOException {
    try (SafeTensors file = open(name)) {
      for (Case golden : cases(file).values()) {
        results.put(golden.name(), run(backend, golden));
      }
    }
  }

  /// Runs the whole model: logits, loss, gradients, training steps and greedy continuation.
  ///
  /// @throws IOException if the files cannot be read
  public List<CaseResult> model(Backend backend) throws IOException {
    try (SafeTensors weights = open(MODEL_WEIGHTS);
        SafeTensors golden = open(MODEL)) {
      List<CaseResult> results = new ArrayList<>();
      for (DType precision : List.of(DType.F32, DType.BF16, DType.F16)) {
        results.addAll(new GoldenGpt(backend, weights, golden, precision).run());
      }
      return results;
    }
  }

  /// One operator's case.
  ///
  /// @param inputs by their names, such as `x`
  /// @param truth float64 results by their names, `out` or `grad.x`
  /// @param twins PyTorch's float32 results, likewise
  record Case(
      String name,
      Parameters parameters,
      Map<String, HostTensor> inputs,
      @Nullable HostTensor outputGradient,
      Map<String, HostTensor> truth,
      Map<String, HostTensor> twins) {
    String op() {
      int dot = name.indexOf('.');
      return dot < 0 ? name : name.substring(0, dot);
    }

    /// The input `x` as a leaf: F32, or I32 for whole numbers.
    Tensor input(Backend backend, String x) throws IOException {
      HostTensor host = host(x);
      return isFloating(host)
          ? Tensors.on(backend).of(host.doubles(), DType.F32, host.shape()).requiresGrad(true)
          : Tensors.on(backend).of(host.ints(), host.shape());
    }

    boolean hasInput(String x) {
      return inputs.containsKey(x);
    }

    HostTensor host(String x) throws IOException {
      HostTensor host = inputs.get(x);
      if (host == null) {
        throw new IOException("golden: no input " + x + " of " + name);
      }
      return host;
    }

    long reduction() {
      long longest = 1;
      for (HostTensor input : inputs.values()) {
        for (long dim : input.shape().toArray()) {
          longest = Math.max(longest, dim);
        }
      }
      return longest;
    }
  }

  static boolean isFloating(HostTensor host) {
    return host.dtype() == FileDType.F32 || host.dtype() == FileDType.F64;
  }

  // Names are <case>.in.<x>, <case>.gout, and for the results <case>.out, <case>.grad.<x> or
  // <case>.<y>, with the twins' prefix or without. Names of cases have dots themselves.
  private static Map<String, Case> cases(SafeTensors file) throws CorruptFileException {
    Map<String, Case> cases = new TreeMap<>();
    for (String key : file.names()) {
      int at = key.lastIndexOf(".in.");
      if (at > 0) {
        String name = key.substring(0, at);
        Case golden = cases.get(name);
        if (golden == null) {
          HostTensor gout = file.contains(name + ".gout") ? file.entry(name + ".gout") : null;
          Parameters parameters = Parameters.parse(file.metadata().getOrDefault(name, "{}"));
          golden =
              new Case(name, parameters, new TreeMap<>(), gout, new TreeMap<>(), new TreeMap<>());
          cases.put(name, golden);
        }
        golden.inputs().put(key.substring(at + 4), file.entry(key));
      }
    }
    for (String key : file.names()) {
      boolean twin = key.startsWith(TWIN);
      String plain = twin ? key.substring(TWIN.length()) : key;
      Case golden = owner(cases, plain);
      if (golden != null) {
        String result = plain.substring(golden.name().length() + 1);
        if (!result.startsWith("in.") && !result.equals("gout")) {
          (twin ? golden.twins() : golden.truth()).put(result, file.entry(key));
        }
      }
    }
    return cases;
  }

  // The case with the longest name that `key` begins with.
  private static @Nullable Case owner(Map<String, Case> cases, String key) {
    for (int dot = key.lastIndexOf('.'); dot > 0; dot = key.lastIndexOf('.', dot - 1)) {
      Case golden = cases.get(key.substring(0, dot));
      if (golden != null) {
        return golden;
      }
    }
    return null;
  }

  private static CaseResult run(Backend backend, Case golden) throws IOException {
    String why = GoldenOps.unsupported(golden);
    if (why != null) {
      return CaseResult.skipped(golden.name(), "F32", why);
    }
    double tolerance = Tolerance.bound(DType.F32, golden.reduction(), 1);
    Map<String, double[]> ours;
    try {
      ours = GoldenOps.run(backend, golden);
    } catch (RuntimeException e) {
      return CaseResult.failed(golden.name(), "F32", tolerance, e.toString());
    }
    double error = 0;
    double twinError = 0;
    String worst = "";
    for (Map.Entry<String, HostTensor> entry : golden.truth().entrySet()) {
      double[] truth = entry.getValue().doubles();
      double[] result = ours.get(entry.getKey());
      double one = result == null ? Double.POSITIVE_INFINITY : Tolerance.error(result, truth);
      if (one > error) {
        error = one;
        worst = entry.getKey();
      }
      HostTensor twin = golden.twins().get(entry.getKey());
      if (twin != null) {
        twinError = Math.max(twinError, Tolerance.error(twin.doubles(), truth));
      }
    }
    String note = golden.twins().isEmpty() ? "" : "PyTorch F32 " + exponent(twinError);
    return CaseResult.of(
        golden.name(),
        "F32",
        error,
        tolerance,
        error <= tolerance ? note : "worst in " + worst + (note.isEmpty() ? "" : ", " + note));
  }

  static String exponent(double error) {
    return String.format(Locale.ROOT, "%.1e", error);
  }

  static Tensor tensor(Backend backend, HostTensor host) throws IOException {
    return Tensors.on(backend).of(host.doubles(), DType.F32, host.shape());
  }
}
