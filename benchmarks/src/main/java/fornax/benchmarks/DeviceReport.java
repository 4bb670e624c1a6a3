package fornax.benchmarks;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.BackendProvider;
import fornax.backend.Backends;
import fornax.backend.DeviceException;
import fornax.backend.DeviceInfo;
import fornax.backend.KernelTime;
import fornax.backend.NdArray;
import fornax.backend.Replay;
import fornax.backend.Unary;
import fornax.backend.Workspace;
import fornax.nn.Precision;
import fornax.tensor.AttentionSpec;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// What must be measured first on a card, in one file that anyone can send: what the device and its
/// libraries are, products of matrices by cuBLAS and by our own kernels, attention, and a training
/// step with its launches, the time of each kernel, the gaps between them, and memory.
final class DeviceReport {
  private static final String CUBLAS = "fornax.cuda.cublas"; // read by Settings
  private static final String GRAPHS = "fornax.cuda.graphs"; // likewise
  private static final String PROFILE = "fornax.profile"; // likewise

  /// What is measured: GPT-2 124M's, or as good as nothing where the device is there for tests.
  ///
  /// @param step the training step
  /// @param products sizes `[m, k, n]` of the products of its layers and of a chunk of its losses
  /// @param rounds times that each thing is timed
  /// @param calls of an operation, or steps, that are timed as one
  private record Sizes(TrainingShape step, List<long[]> products, int rounds, int calls) {
    static Sizes of(boolean testOnly) {
      return testOnly
          ? new Sizes(TrainingShape.parse("1x2x64x16x2x65"), List.of(new long[] {32, 64, 65}), 1, 1)
          : new Sizes(
              TrainingShape.parse("12x12x768x1024x16x50257"),
              List.of(
                  new long[] {16384, 768, 2304},
                  new long[] {16384, 768, 768},
                  new long[] {16384, 768, 3072},
                  new long[] {16384, 3072, 768},
                  new long[] {4096, 768, 50257}),
              7,
              5);
    }
  }

  private final DeviceInfo device;
  private final Sizes sizes;
  private final PrintStream err;
  private final JsonMapper json = JsonMapper.builder().build();
  private final ObjectNode report = json.createObjectNode();

  private DeviceReport(DeviceInfo device, PrintStream err) {
    this.device = device;
    this.sizes = Sizes.of(device.testOnly());
    this.err = err;
  }

  /// Measures `device` and writes `file`.
  ///
  /// @param err is told what is being measured
  /// @throws IOException if the file cannot be written
  static void write(DeviceInfo device, Path file, PrintStream err) throws IOException {
    var made = new DeviceReport(device, err);
    made.measure();
    made.json.writerWithDefaultPrettyPrinter().writeValue(file.toFile(), made.report);
  }

  private void measure() {
    var about = report.putObject("device").put("id", device.id()).put("name", device.name());
    var _ = about.put("testOnly", device.testOnly());
    for (BackendProvider provider : Backends.providers()) {
      if (provider.name().equals(device.backend())) {
        ArrayNode lines = about.putArray("found");
        provider.report().lines().forEach(lines::add);
      }
    }
    try (Backend backend = Backends.open(device.id()).backend()) {
      var _ = about.put("memoryLimit", backend.memory().limit());
    }
    ArrayNode products = report.putArray("matmul");
    for (String cublas : device.backend().equals("cuda") ? List.of("true", "false") : List.of("")) {
      String by = cublas.isEmpty() ? "own" : cublas.equals("true") ? "cuBLAS" : "own";
      with(Map.of(CUBLAS, cublas), backend -> products(backend, by, products));
    }
    ArrayNode attention = report.putArray("attention");
    with(Map.of(), backend -> attention(backend, attention));
    ArrayNode steps = report.putArray("step");
    for (Precision precision : Precision.values()) {
      step(precision, steps);
    }
  }

  private interface Measurement {
    void take(Backend backend);
  }

  // On a backend opened with `properties`; an empty one is not set.
  private void with(Map<String, String> properties, Measurement measurement) {
    Map<String, String> before = new LinkedHashMap<>();
    properties.forEach(
        (name, value) -> {
          before.put(name, System.getProperty(name, ""));
          set(name, value);
        });
    try (Backend backend = Backends.open(device.id()).backend()) {
      measurement.take(backend);
    } finally {
      before.forEach(DeviceReport::set);
    }
  }

  private static void set(String name, String value) {
    if (value.isEmpty()) {
      System.clearProperty(name);
    } else {
      System.setProperty(name, value);
    }
  }

  // ---- time on the wall of calls that are enqueued together

  /// @param best nanoseconds of a call in the fastest round
  /// @param median likewise in the one in the middle
  private record Times(double best, double median) {
    void put(ObjectNode node, double operations) {
      var _ =
          node.put("bestMicros", best / 1e3)
              .put("medianMicros", median / 1e3)
              .put("teraflops", operations / best / 1e3);
    }
  }

  private Times time(Backend backend, Runnable call) {
    call.run(); // kernels are compiled, tiles are searched for
    backend.synchronize();
    double[] rounds = new double[sizes.rounds];
    for (int i = 0; i < rounds.length; i++) {
      long start = System.nanoTime();
      for (int k = 0; k < sizes.calls; k++) {
        call.run();
      }
      backend.synchronize();
      rounds[i] = (System.nanoTime() - start) / (double) sizes.calls;
    }
    Arrays.sort(rounds);
    return new Times(rounds[0], rounds[rounds.length / 2]);
  }

  private void say(String what) {
    err.println("bench: measuring " + what);
  }

  /// Whether the device computes in `precision`.
  private static boolean takes(Backend backend, Precision precision) {
    try {
      backend.multiplyInTf32(precision == Precision.TF32);
      return true;
    } catch (DeviceException _) {
      return false;
    }
  }

  // ---- operations

  private void products(Backend backend, String by, ArrayNode to) {
    for (Precision precision : Precision.values()) {
      if (!takes(backend, precision)) {
        continue;
      }
      for (long[] size : sizes.products) {
        for (String form : List.of("nn", "nt", "tn")) {
          product(backend, by, precision, size, form, to);
        }
      }
    }
    backend.multiplyInTf32(false);
  }

  // y [m, n] = a·b, where t says that a factor lies by columns.
  private void product(
      Backend backend, String by, Precision precision, long[] size, String form, ArrayNode to) {
    long m = size[0];
    long k = size[1];
    long n = size[2];
    say(String.format(Locale.ROOT, "%s %s %dx%dx%d %s", by, precision, m, k, n, form));
    DType type = precision.activations();
    try (var work = new Workspace(backend.memory())) {
      NdArray a = numbers(backend, work, type, m, k, form.charAt(0) == 't');
      NdArray b = numbers(backend, work, type, k, n, form.charAt(1) == 't');
      NdArray y = work.allocate(type, Shape.of(m, n));
      Times times = time(backend, () -> backend.matmul(a, b, y, false));
      ObjectNode node =
          to.addObject()
              .put("by", by)
              .put("precision", precision.toString())
              .put("m", m)
              .put("k", k)
              .put("n", n)
              .put("form", form);
      times.put(node, 2.0 * m * k * n);
    }
  }

  // Not round: a card draws more power, and so is slower, than with zeros.
  private static NdArray numbers(
      Backend backend, Workspace work, DType type, long rows, long columns, boolean byColumns) {
    Shape shape = byColumns ? Shape.of(columns, rows) : Shape.of(rows, columns);
    NdArray full = work.allocate(DType.F32, shape);
    backend.range(full, 0, 0.37);
    backend.unary(Unary.SIN, full, full);
    NdArray x = work.allocate(type, shape);
    backend.copy(full, x);
    return byColumns ? x.transpose() : x;
  }

  private void attention(Backend backend, ArrayNode to) {
    var model = sizes.step.model();
    long width = model.width() / model.heads();
    Shape shape = Shape.of(sizes.step.batch(), model.heads(), model.context(), width);
    // Two products of the causal half; the gradient makes five.
    double operations = 2.0 * 2 * shape.elements() * model.context() / 2;
    for (DType type : List.of(DType.F32, DType.BF16, DType.F16)) {
      say("attention " + type);
      try (var scope = Scope.open()) {
        Tensors on = Tensors.on(backend);
        Tensor x = scope.keep(on.range(DType.F32, 0, 0.37, shape.elements()).sin());
        Tensor q = x.reshape(shape.toArray()).to(type).detach().requiresGrad(true);
        Times forward =
            time(
                backend,
                () -> {
                  try (var _ = Scope.open();
                      var _ = GradMode.noGrad()) {
                    Tensor _ = Tensor.attention(q, q, q, AttentionSpec.CAUSAL);
                  }
                });
        Times both =
            time(
                backend,
                () -> {
                  try (var _ = Scope.open()) {
                    Tensor.attention(q, q, q, AttentionSpec.CAUSAL).backward(q);
                    q.zeroGrad();
                  }
                });
        forward.put(attentionNode(to, "forward", type, shape), operations);
        new Times(both.best - forward.best, both.median - forward.median)
            .put(attentionNode(to, "gradient", type, shape), 2.5 * operations);
      }
    }
  }

  private static ObjectNode attentionNode(ArrayNode to, String pass, DType type, Shape shape) {
    return to.addObject()
        .put("pass", pass)
        .put("type", type.toString().toLowerCase(Locale.ROOT))
        .put("shape", shape.toString());
  }

  // ---- a training step

  private void step(Precision precision, ArrayNode to) {
    boolean[] taken = {false};
    with(Map.of(), backend -> taken[0] = takes(backend, precision));
    if (!taken[0]) {
      return;
    }
    say("a training step in " + precision);
    ObjectNode node = to.addObject().put("precision", precision.toString());
    var _ =
        node.put("tokens", sizes.step.tokens())
            .put("productOperations", sizes.step.flops())
            .put("model", sizes.step.model().toString());
    double[] wall = new double[1];
    for (String graphs : List.of("true", "false")) {
      with(
          Map.of(GRAPHS, graphs),
          backend -> {
            Times times = stepTimes(backend, precision);
            ObjectNode part =
                node.putObject(graphs.equals("true") ? "withGraph" : "withoutGraph")
                    .put("tokensPerSecond", sizes.step.tokens() * 1e9 / times.best);
            times.put(part, sizes.step.flops());
            var _ = part.put("peakBytes", backend.memory().stats().peak());
            wall[0] = graphs.equals("true") ? times.best : wall[0];
          });
    }
    with(Map.of(PROFILE, "true"), backend -> kernels(backend, precision, wall[0], node));
  }

  private Times stepTimes(Backend backend, Precision precision) {
    try (var training = new TrainingStep(backend, sizes.step, precision)) {
      training.prepare();
      training.enqueue();
      Replay replay = backend.capture(training::enqueue);
      Times times = time(backend, replay::run);
      replay.close();
      return times;
    }
  }

  // The kernels' own times need the device's clock, and that each is enqueued by itself.
  private void kernels(Backend backend, Precision precision, double wallNanos, ObjectNode node) {
    try (var training = new TrainingStep(backend, sizes.step, precision)) {
      training.prepare();
      training.enqueue();
      List<KernelTime> _ = backend.kernelTimes();
      training.enqueue();
      List<KernelTime> times = backend.kernelTimes();
      long nanos = times.stream().mapToLong(KernelTime::nanos).sum();
      var _ =
          node.put("launches", times.stream().mapToLong(KernelTime::launches).sum())
              .put("kernelMicros", nanos / 1e3)
              .put("gapMicros", (wallNanos - nanos) / 1e3);
      ArrayNode kernels = node.putArray("kernels");
      for (KernelTime time : times) {
        var _ =
            kernels
                .addObject()
                .put("op", time.op())
                .put("kernel", time.kernel())
                .put("launches", time.launches())
                .put("micros", time.nanos() / 1e3);
      }
    }
  }
}
