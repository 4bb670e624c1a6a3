package fornax.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.backend.Backend;
import fornax.models.Devices;
import fornax.nn.Precision;
import fornax.nn.TensorFile;
import fornax.optim.LossScale;
import fornax.tensor.GradMode;
import fornax.tensor.NonFiniteException;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The loss scale of a training in F16: overflows, growth, checkpoints.
class LossScalingTest {
  private static final int STEPS = 40;

  /// So high that gradients overflow in F16 until it has been halved several times.
  private static final LossScale.Options TOO_HIGH = new LossScale.Options(0x1p36, 2, 0.5, 2000);

  private static final LossScale.Options GROWING = new LossScale.Options(1024, 2, 0.5, 4);

  private static SmallTraining training(Backend backend, int steps, LossScale.Options scale)
      throws IOException {
    var training = new SmallTraining(backend, steps, 0, 1, Precision.F16);
    training.trainer.scaleLoss(scale);
    return training;
  }

  @ParameterizedTest
  @ValueSource(strings = {"reference", "cpu"})
  void overflows_halveTheScaleAndSkipTheStep(String device) throws IOException {
    try (Backend backend = Devices.open(device);
        SmallTraining training = training(backend, STEPS, TOO_HIGH)) {
      float[] before = training.weights();
      List<float[]> after = new ArrayList<>();
      var recorder =
          new TrainerTest.Recorder() {
            @Override
            public void stepped(StepReport report) {
              super.stepped(report);
              after.add(training.weights());
            }
          };
      Trainer.Result result = training.trainer.run(recorder, () -> false);
      int overflows = result.health().overflows();
      assertTrue(overflows >= 3 && overflows < STEPS / 2, () -> "overflows " + overflows);
      assertEquals(0, result.health().skipped());
      assertEquals(0, result.health().spikes());
      for (int i = 0; i < STEPS; i++) {
        TrainingListener.StepReport report = recorder.steps.get(i);
        assertEquals(Math.scalb(0x1p36, -Math.min(i, overflows)), report.lossScale());
        assertEquals(i < overflows, !Double.isFinite(report.gradientNorm()), "step " + (i + 1));
        assertTrue(Double.isFinite(report.loss()));
      }
      // The report of a step comes when the next is under way.
      assertArrayEquals(before, after.get(overflows - 2));
      assertFalse(Arrays.equals(before, after.getLast()));
      assertTrue(recorder.steps.getLast().loss() < recorder.steps.getFirst().loss() - 0.2);
      assertTrue(training.momentsAreFinite());
    }
  }

  /// Powers of two change no bits of what neither overflows nor vanishes.
  @Test
  void scale_growsAfterGoodSteps() throws IOException {
    try (Backend backend = Devices.open("cpu");
        SmallTraining training = training(backend, 14, GROWING)) {
      var recorder = new TrainerTest.Recorder();
      Trainer.Result _ = training.trainer.run(recorder, () -> false);
      assertArrayEquals(
          new double[] {
            1024, 1024, 1024, 1024, 2048, 2048, 2048, 2048, 4096, 4096, 4096, 4096, 8192, 8192
          },
          recorder.steps.stream().mapToDouble(TrainingListener.StepReport::lossScale).toArray());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void resumedTraining_goesOnBitForBit(int accumulate, @TempDir Path folder) throws IOException {
    Path weights = folder.resolve("weights");
    Path moments = folder.resolve("moments");
    @Nullable TrainingState[] kept = new TrainingState[1];
    float[] straight;
    LossScale.State last;
    try (Backend backend = Devices.open("cpu");
        var training = new SmallTraining(backend, 20, 10, accumulate, Precision.F16)) {
      training.trainer.scaleLoss(GROWING);
      @Nullable TrainingState[] end = new TrainingState[1];
      var saver =
          new TrainerTest.Recorder() {
            @Override
            public void checkpointDue(TrainingState state) throws IOException {
              end[0] = state;
              if (state.step() == 10) {
                kept[0] = state;
                training.model.save(weights);
                TensorFile.save(moments, training.trainer.optimizerState(), Map.of());
              }
            }
          };
      Trainer.Result _ = training.trainer.run(saver, () -> false);
      straight = training.weights();
      last = Objects.requireNonNull(end[0]).lossScale();
    }
    TrainingState state = Objects.requireNonNull(kept[0]);
    assertEquals(new LossScale.State(4096, 2), state.lossScale());
    try (Backend backend = Devices.open("cpu");
        var training = new SmallTraining(backend, 20, 10, accumulate, Precision.F16)) {
      training.trainer.scaleLoss(GROWING);
      var _ = training.model.load(weights);
      training.trainer.resume(state, moments);
      @Nullable TrainingState[] end = new TrainingState[1];
      var saver =
          new TrainerTest.Recorder() {
            @Override
            public void evaluated(int step, Evaluation validation) {}

            @Override
            public void checkpointDue(TrainingState now) {
              end[0] = now;
            }
          };
      Trainer.Result _ = training.trainer.run(saver, () -> false);
      assertArrayEquals(straight, training.weights());
      assertEquals(last, Objects.requireNonNull(end[0]).lossScale());
    }
  }

  /// An overflow of a scaled gradient is no fault; a watched training has the same bits.
  @Test
  void watchedTraining_letsOverflowsPass() throws IOException {
    float[] plain;
    try (Backend backend = Devices.open("cpu");
        SmallTraining training = training(backend, 30, TOO_HIGH)) {
      double[] _ = training.run();
      plain = training.weights();
    }
    try (Backend backend = Devices.open("cpu");
        SmallTraining training = training(backend, 30, TOO_HIGH)) {
      training.trainer.watch(new Trainer.Watch(0, true));
      double[] _ = training.run();
      assertArrayEquals(plain, training.weights());
    }
  }

  /// A loss that is not finite is one whatever the scale.
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aSpoiltWeight_endsTheTraining(boolean check) throws IOException {
    try (Backend backend = Devices.open("cpu");
        SmallTraining training = training(backend, 20, LossScale.Options.DEFAULT)) {
      training.trainer.watch(new Trainer.Watch(0, check));
      Tensor weight = training.parameter("blocks.0.attention.qkv.weight");
      float[] spoilt = weight.toFloatArray();
      spoilt[7] = Float.NaN;
      try (var _ = GradMode.noGrad();
          Tensor source = Tensors.on(backend).of(spoilt, weight.shape())) {
        Tensor _ = weight.copyInPlace(source);
      }
      Class<? extends RuntimeException> fault =
          check ? NonFiniteException.class : NonFiniteLossException.class;
      assertThrows(fault, () -> training.trainer.run(new TrainerTest.Recorder(), () -> false));
    }
  }
}
