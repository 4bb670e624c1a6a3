package fornax.cli;

import fornax.backend.Backend;
import fornax.backend.MemoryStats;
import fornax.data.CharTokenizer;
import fornax.data.Tokenizer;
import fornax.data.TrainingData;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.Sampling;
import fornax.nn.Precision;
import fornax.nn.TensorFile;
import fornax.tensor.Tensor;
import fornax.train.CheckpointState;
import fornax.train.Checkpoints;
import fornax.train.Evaluation;
import fornax.train.Flops;
import fornax.train.Health;
import fornax.train.MetricsLog;
import fornax.train.RunConfig;
import fornax.train.RunFolder;
import fornax.train.RunReport;
import fornax.train.TensorBoardLog;
import fornax.train.TrainOptions;
import fornax.train.Trainer;
import fornax.train.TrainingListener;
import fornax.train.TrainingState;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/// Trains, shows and records how it goes, saves, and sums up.
final class TrainingRun {
  private static final int SAMPLE_TOKENS = 100;
  private static final int LAST_SAMPLE_TOKENS = 300;

  // What other readers of these weights look for: Hugging Face's loader refuses a file without it.
  private static final Map<String, String> METADATA = Map.of("format", "pt");

  private final Backend device;
  private final String deviceName;
  private final Gpt model;
  private final Tokenizer tokenizer;
  private final TrainingData data;
  private final RunConfig config;
  private final TrainOptions options;
  private final RunFolder folder;

  TrainingRun(
      OpenDevice opened,
      Gpt model,
      Tokenizer tokenizer,
      TrainingData data,
      RunConfig config,
      RunFolder folder) {
    device = opened.backend();
    deviceName = opened.name();
    this.model = model;
    this.tokenizer = tokenizer;
    this.data = data;
    this.config = config;
    options = config.training();
    this.folder = folder;
  }

  /// Does all that; returns the exit code.
  ///
  /// @param from where the trainer goes on; null: it begins
  /// @param json whether `output.out()` is for one line of JSON alone
  int run(
      Trainer trainer,
      @Nullable CheckpointState from,
      ReportOptions reports,
      Output output,
      boolean json)
      throws IOException {
    PrintStream err = output.err();
    err.printf(
        Locale.ROOT,
        "model: %,d parameters%s%s; %s; %,d tokens to learn from, %,d held out%n",
        config.model().parameterCount(),
        config.lora() == null
            ? ""
            : String.format(Locale.ROOT, ", and %,d in adapters, which learn", adapterCount()),
        options.precision() == Precision.F32 ? "" : ", computing in " + options.precision(),
        tokenizer,
        data.trainingTokens(),
        data.validationTokens());
    folder.writeEnvironment(environment());
    int columns = output.columns();
    int done = from == null ? 0 : from.training().step();
    try (var interrupt = new Interrupt(err);
        Dashboard dashboard =
            reports.dashboard == null ? null : Dashboard.open(folder, reports.dashboard);
        TensorBoardLog board =
            reports.tensorboard ? TensorBoardLog.start(folder.tensorBoard(), done + 1) : null) {
      if (dashboard != null) {
        err.println("dashboard: " + dashboard.url());
      }
      Trainer.Result result;
      String text = null;
      try (MetricsLog metrics =
          from == null ? folder.startMetrics() : folder.continueMetrics(from.metricsBytes())) {
        try (Progress progress =
            columns > 0
                ? new ProgressBarDisplay(err, columns, options.steps())
                : new ProgressLines(err)) {
          var recorder = new Recorder(trainer, progress, metrics, board);
          result = trainer.run(recorder, interrupt::requested);
        }
        if (result.steps() == options.steps() && options.reports().sampleEvery() > 0) {
          text = sample(LAST_SAMPLE_TOKENS);
          record(metrics, options.steps(), text);
        }
      }
      save();
      Path report = new RunReport(folder).write();
      boolean complete = result.steps() == options.steps();
      sumUp(json ? err : output.out(), result, text, report);
      if (json) {
        printJson(output.out(), result);
      }
      return complete ? ExitCode.OK : ExitCode.INTERRUPTED;
    }
  }

  private double utilization(double tokensPerSecond) {
    return Flops.utilization(config.model(), options.precision(), deviceName, tokensPerSecond);
  }

  private SequencedMap<String, Object> environment() {
    SequencedMap<String, Object> facts = new LinkedHashMap<>();
    facts.put("version", FornaxCommand.version());
    facts.put("device", deviceName);
    facts.put("deviceId", device.id());
    facts.put("processors", Runtime.getRuntime().availableProcessors());
    facts.put("system", System.getProperty("os.name") + " " + System.getProperty("os.version"));
    facts.put("architecture", System.getProperty("os.arch"));
    facts.put("java", System.getProperty("java.vm.name") + " " + Runtime.version());
    facts.put("started", OffsetDateTime.now(ZoneId.systemDefault()).withNano(0).toString());
    facts.put("parameters", model.parameterCount());
    facts.put("trainingTokens", data.trainingTokens());
    facts.put("validationTokens", data.validationTokens());
    facts.put("flopsPerToken", Flops.perToken(config.model()));
    facts.put("flopsFormula", Flops.FORMULA);
    return facts;
  }

  private void save() throws IOException {
    saveWeights(folder);
  }

  private void saveWeights(RunFolder into) throws IOException {
    if (config.lora() == null) {
      model.save(into.model(), METADATA);
    } else {
      TensorFile.save(into.adapter(), model.adapters(), METADATA);
    }
  }

  private long adapterCount() {
    return model.adapters().values().stream().mapToLong(Tensor::elements).sum();
  }

  private String sample(int tokens) {
    Sampling sampling = Sampling.seeded(options.seed()).withTemperature(Sampler.TEMPERATURE);
    return Sampler.visible(new Sampler(model, tokenizer).sample(tokens, sampling));
  }

  private static void record(MetricsLog metrics, int step, String sample) throws IOException {
    SequencedMap<String, Object> line = new LinkedHashMap<>();
    line.put("step", step);
    line.put("sample", sample);
    metrics.append(line);
  }

  private void sumUp(PrintStream to, Trainer.Result result, @Nullable String sample, Path report)
      throws IOException {
    boolean complete = result.steps() == options.steps();
    if (!complete) {
      to.printf("stopped after step %d of %d%n", result.steps(), options.steps());
    } else if (sample != null) {
      to.println();
      to.println("sample:");
      to.println(sample.indent(2).stripTrailing());
    }
    to.println();
    to.printf(
        Locale.ROOT,
        "training loss    %.4f (%s)%n",
        result.trainLoss(),
        result.trainLossSteps() == 1
            ? "of the last step"
            : "mean of the last " + result.trainLossSteps() + " steps");
    Evaluation validation = result.validation();
    if (validation != null) {
      to.printf(
          Locale.ROOT,
          "validation loss  %.4f (%,d %s%s)%n",
          validation.loss(),
          validation.tokens(),
          config.instructions()
              ? "tokens of answers"
              : tokenizer instanceof CharTokenizer ? "characters" : "tokens",
          result.validationIsWhole()
              ? ", all that was held out"
              : " of " + String.format(Locale.ROOT, "%,d", data.validationTokens()) + " held out");
    }
    to.printf(
        Locale.ROOT,
        "speed            %,.0f tokens/s, %s in all%n",
        result.tokensPerSecond(),
        Progress.clock(result.time().toMillis() / 1e3));
    sumUp(to, result.health(), result.steps());
    to.println("saved in         " + folder);
    to.println("curves           " + report);
    Path best = folder.checkpoints().best();
    if (best != null) {
      to.println("best checkpoint  " + best);
    }
    if (result.profile() != null) {
      to.println();
      ProfileTable.print(result.profile(), to);
    }
    to.println();
    to.println("It writes more with: ./fornax generate --checkpoint " + folder);
    if (!complete && options.checkpointing().every() > 0) {
      to.println("It goes on with:     ./fornax train --resume " + folder);
    }
    to.flush();
  }

  private static void sumUp(PrintStream to, Health health, int steps) {
    if (health.largestNormStep() > 0) {
      to.printf(
          Locale.ROOT,
          "gradient norm    at most %.2f, in step %d%n",
          health.largestNorm(),
          health.largestNormStep());
    }
    if (health.spikes() > 0) {
      to.printf(
          "spikes           %d of %d steps, the last of them %d: loss or gradient norm far above"
              + " the 100 steps before%n",
          health.spikes(), steps, health.lastSpike());
    }
    if (health.overflows() > 0) {
      to.printf(
          "overflows        %d of %d steps changed nothing, and halved the loss scale of f16%n",
          health.overflows(), steps);
    }
    if (health.skipped() > 0) {
      to.printf(
          "skipped          %d of %d steps: their gradients were not finite; try a lower --lr%n",
          health.skipped(), steps);
    }
  }

  private void printJson(PrintStream out, Trainer.Result result) {
    Evaluation validation = result.validation();
    JsonLine.print(
        out,
        json -> {
          json.writeStartObject();
          json.writeNumberField("parameters", config.model().parameterCount());
          if (config.lora() != null) {
            json.writeNumberField("adapterParameters", adapterCount());
          }
          json.writeNumberField("steps", result.steps());
          JsonLine.number(json, "trainLoss", result.trainLoss());
          JsonLine.number(
              json, "validationLoss", validation == null ? Double.NaN : validation.loss());
          JsonLine.number(json, "tokensPerSecond", result.tokensPerSecond());
          json.writeStringField("device", device.id());
          json.writeStringField("precision", options.precision().toString());
          json.writeNumberField("seed", options.seed());
          json.writeStringField("out", folder.toString());
          json.writeEndObject();
        });
  }

  /// Shows and records each step and evaluation, saves, and makes the samples.
  private final class Recorder implements TrainingListener {
    private static final double SMOOTHING = 0.1; // of the loss shown: about the last 10 steps

    private final Trainer trainer;
    private final Progress progress;
    private final MetricsLog metrics;
    private final @Nullable TensorBoardLog board;
    private StepReport last = new StepReport(0, Double.NaN, Double.NaN, 0, 0, false, 1);
    private double loss = Double.NaN;
    private double validationLoss = Double.NaN;

    Recorder(
        Trainer trainer, Progress progress, MetricsLog metrics, @Nullable TensorBoardLog board) {
      this.board = board;
      this.trainer = trainer;
      this.progress = progress;
      this.metrics = metrics;
    }

    @Override
    public void stepped(StepReport report) throws IOException {
      last = report;
      loss = Double.isNaN(loss) ? report.loss() : loss + SMOOTHING * (report.loss() - loss);
      MemoryStats memory = device.memory().stats();
      SequencedMap<String, Object> line = new LinkedHashMap<>();
      line.put("step", report.step());
      line.put("loss", report.loss());
      line.put("gradientNorm", report.gradientNorm());
      if (options.precision() == Precision.F16) {
        line.put("lossScale", report.lossScale());
      }
      line.put("learningRate", report.learningRate());
      line.put("tokensPerSecond", report.tokensPerSecond());
      line.put("modelFlopsUtilization", utilization(report.tokensPerSecond()));
      line.put("liveBytes", memory.live());
      line.put("peakBytes", memory.peak());
      if (report.spike()) {
        line.put("spike", true);
      }
      record(report.step(), line);
      show(false);
    }

    @Override
    public void evaluated(int step, Evaluation validation) throws IOException {
      validationLoss = validation.loss();
      MemoryStats memory = device.memory().stats();
      SequencedMap<String, Object> line = new LinkedHashMap<>();
      line.put("step", step);
      line.put("validationLoss", validation.loss());
      line.put("validationTokens", validation.tokens());
      line.put("liveBytes", memory.live());
      line.put("peakBytes", memory.peak());
      line.put("cachedBytes", memory.cached());
      line.put("systemRequests", memory.systemRequests());
      record(step, line);
      show(true);
      // Where there are checkpoints, they are what is read until the end.
      if (step > 0 && step < options.steps() && options.checkpointing().every() == 0) {
        save();
      }
    }

    @Override
    public void checkpointDue(TrainingState state) throws IOException {
      var all = new CheckpointState(FornaxCommand.version(), metrics.force(), state);
      Checkpoints checkpoints = folder.checkpoints();
      Path written =
          checkpoints.write(
              all,
              into -> {
                into.writeConfig(config);
                tokenizer.save(into.tokenizer());
                saveWeights(into);
                TensorFile.save(
                    Checkpoints.optimizer(into.path()), trainer.optimizerState(), Map.of());
              });
      checkpoints.keepLast(options.checkpointing().keep(), written);
    }

    @Override
    public void sampleDue(int step) throws IOException {
      String sample = sample(SAMPLE_TOKENS);
      TrainingRun.record(metrics, step, sample);
      String text = sample.indent(2).stripTrailing();
      progress.note(
          (step == 0 ? "sample before training:" : "sample after step " + step + ":")
              + System.lineSeparator()
              + text);
    }

    private void record(int step, SequencedMap<String, Object> line) throws IOException {
      metrics.append(line);
      if (board != null) {
        Map<String, Double> values = new LinkedHashMap<>();
        line.forEach(
            (name, value) -> {
              if (value instanceof Number number && !name.equals("step")) {
                values.put(name, number.doubleValue());
              }
            });
        board.write(step, values);
      }
    }

    private void show(boolean milestone) {
      double stepsLeft = (double) options.steps() - last.step();
      double tokensPerStep = (double) options.windowsPerStep() * data.context();
      progress.show(
          new Progress.Status(
              last.step(),
              options.steps(),
              loss,
              validationLoss,
              last.tokensPerSecond(),
              stepsLeft * tokensPerStep / last.tokensPerSecond()),
          milestone);
    }
  }
}
