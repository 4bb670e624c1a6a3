package fornax.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.backend.Backend;
import fornax.backend.BackendProvider;
import fornax.backend.Backends;
import fornax.backend.Owner;
import fornax.data.TokenDataset;
import fornax.models.Devices;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.GptConfig;
import fornax.nn.Precision;
import fornax.nn.Weights;
import fornax.train.TrainOptions.OptimizerOptions;
import java.io.IOException;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MemoryPlanTest {
  private static final long DEVICE_BYTES = 8L << 30;
  private static final OptimizerOptions RECIPE =
      new OptimizerOptions(1e-3, 0, 0, 0.9, 0.99, 0.1, 1);

  private static BackendProvider provider(String name) {
    return Backends.providers().stream()
        .filter(provider -> provider.name().equals(name))
        .findFirst()
        .orElseThrow();
  }

  private static TrainOptions options(int batch, Precision precision, boolean recompute) {
    return TrainOptions.builder(3, batch, RECIPE).precision(precision).recompute(recompute).build();
  }

  private static void assertPlanned(String device, GptConfig config, TrainOptions options)
      throws IOException {
    MemoryPlan plan = MemoryPlan.of(config, options, provider(device), DEVICE_BYTES);
    long measured = measured(device, config, options);
    assertEquals(measured, plan.peakBytes(), 0.05 * measured, options::toString);
    assertTrue(plan.systemBytes() >= plan.peakBytes());
    assertEquals(
        plan.peakBytes(), plan.atPeak().values().stream().mapToLong(Long::longValue).sum());
  }

  // Of three real steps.
  private static long measured(String device, GptConfig config, TrainOptions options)
      throws IOException {
    int[] text = new Random(1).ints(20L * config.context(), 0, config.vocabulary()).toArray();
    try (Backend backend = Devices.open(device);
        var model = new Gpt(config, Weights.on(backend, 1));
        var trainer = new Trainer(model, TokenDataset.of(text, config.context()), options)) {

      var _ = trainer.run(new Silent(), () -> false);
      return backend.memory().stats().peak();
    }
  }

  private static final class Silent implements TrainingListener {
    @Override
    public void stepped(StepReport report) {}

    @Override
    public void evaluated(int step, Evaluation validation) {}

    @Override
    public void sampleDue(int step) {}
  }

  /// Shapes in which activations, attention's weights, and the vocabulary weigh most.
  @ParameterizedTest
  @CsvSource({
    "cpu, 77, 32, 6, 2, 32, 8, 0",
    "cpu, 77, 128, 2, 6, 96, 4, 0.1",
    "cpu, 5003, 32, 2, 2, 64, 4, 0",
    "cpu, 97, 13, 3, 3, 36, 5, 0.1",
    "opencl, 77, 32, 4, 2, 48, 4, 0"
  })
  void plan_isWhatTheDeviceTakes(
      String device,
      int vocabulary,
      int context,
      int layers,
      int heads,
      int width,
      int batch,
      double dropout)
      throws IOException {
    if (device.equals("opencl")) {
      Devices.requireOpenCl();
    }
    var config = new GptConfig(vocabulary, context, layers, heads, width, dropout);
    for (Precision precision : List.of(Precision.F32, Precision.BF16)) {
      for (boolean recompute : new boolean[] {false, true}) {
        TrainOptions options = options(batch, precision, recompute);
        assertPlanned(device, config, options);
        if (device.equals("cpu")) {
          assertPlanned(device, config, options.toBuilder().accumulate(2).build());
        }
      }
    }
  }

  @ParameterizedTest
  @Tag("slow")
  @CsvSource({"nano, 12", "baby, 2"})
  void plan_isWhatAPresetTakesOnTheCpu(String preset, int batch) throws IOException {
    GptConfig config = GptConfig.preset(preset);
    for (Precision precision : List.of(Precision.F32, Precision.BF16)) {
      for (boolean recompute : new boolean[] {false, true}) {
        assertPlanned(
            "cpu",
            config,
            options(batch, precision, recompute).toBuilder().accumulate(recompute ? 2 : 1).build());
      }
    }
  }

  @Test
  void gpt2_isPlannedWithoutAllocating() {
    var config = GptConfig.preset("gpt2-xl");
    TrainOptions options = options(8, Precision.BF16, false);
    MemoryPlan plan = MemoryPlan.of(config, options, provider("cuda"), 80L << 30);
    double parameters = config.parameterCount();
    assertEquals(8 * parameters, plan.atPeak().getOrDefault(Owner.OPTIMIZER, 0L), 100);
    assertEquals(
        6 * parameters, plan.atPeak().getOrDefault(Owner.PARAMETERS, 0L), 0.01 * parameters);
    assertTrue(plan.peakBytes() > 30L << 30);
  }

  @Test
  void largestBatch_fitsAndTheNextDoesNot() {
    GptConfig config = GptConfig.preset("gpt2");
    TrainOptions options = options(1, Precision.F32, false);
    long bytes = 24L << 30;
    int largest = MemoryPlan.largestBatch(config, options, provider("cpu"), bytes);
    assertTrue(largest > 4, "got " + largest);
    TrainOptions fitting = options.toBuilder().batch(largest).build();
    TrainOptions larger = options.toBuilder().batch(largest + 1).build();
    assertTrue(MemoryPlan.of(config, fitting, provider("cpu"), bytes).peakBytes() <= bytes);
    assertTrue(MemoryPlan.of(config, larger, provider("cpu"), bytes).systemBytes() > bytes);
    int recomputing =
        MemoryPlan.largestBatch(
            config, options.toBuilder().recompute(true).build(), provider("cpu"), bytes);
    assertTrue(recomputing > 2 * largest, recomputing + " and " + largest);
    assertEquals(0, MemoryPlan.largestBatch(config, options, provider("cpu"), 1L << 30));
  }

  /// One sequence more may take no more of a pool.
  @Test
  void largestBatch_ofASmallModel_isFoundAsWell() {
    GptConfig config = GptConfig.preset("nano");
    TrainOptions options = options(1, Precision.F32, false);
    long bytes = 1L << 30;
    int largest = MemoryPlan.largestBatch(config, options, provider("cpu"), bytes);
    TrainOptions larger = options.toBuilder().batch(largest + 1).build();
    assertTrue(largest > 100, "got " + largest);
    assertTrue(MemoryPlan.of(config, larger, provider("cpu"), bytes).systemBytes() > bytes);
  }
}
