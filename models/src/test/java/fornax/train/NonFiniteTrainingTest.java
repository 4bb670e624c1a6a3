package fornax.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.backend.Backend;
import fornax.models.Devices;
import fornax.tensor.GradMode;
import fornax.tensor.NonFiniteException;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What a training does when its numbers are not finite.
class NonFiniteTrainingTest {
  private static final String PATH = "blocks.0.attention.qkv.weight";
  private static final int FAULTY = 5; // the step after whose report a weight is spoilt

  /// Spoils a weight, and mends it when it has seen `tolerated` bad steps.
  private static final class Saboteur implements TrainingListener {
    private final SmallTraining training;
    private final int tolerated;
    private final List<StepReport> reports = new ArrayList<>();
    private final List<Integer> checkpoints = new ArrayList<>();
    private float[] good = {};
    private int bad;

    Saboteur(SmallTraining training, int tolerated) {
      this.training = training;
      this.tolerated = tolerated;
    }

    @Override
    public void stepped(StepReport report) {
      reports.add(report);
      if (report.step() == FAULTY) {
        good = weight().toFloatArray();
        float[] spoilt = good.clone();
        spoilt[7] = Float.NaN;
        put(spoilt);
      }
      if (!Double.isFinite(report.loss()) && ++bad == tolerated) {
        put(good);
      }
    }

    @Override
    public void checkpointDue(TrainingState state) {
      checkpoints.add(state.step());
    }

    @Override
    public void evaluated(int step, Evaluation validation) {
      assertEquals(20, step);
    }

    @Override
    public void sampleDue(int step) {
      throw new AssertionError("no sample was asked for");
    }

    private Tensor weight() {
      return training.parameter(PATH);
    }

    private void put(float[] values) {
      try (var _ = GradMode.noGrad();
          Tensor source = Tensors.on(weight().backend()).of(values, weight().shape())) {
        Tensor _ = weight().copyInPlace(source);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"reference", "cpu"})
  void aLossThatIsNotFinite_endsTheTrainingAndChangesNothing(String device) throws IOException {
    try (Backend backend = Devices.open(device);
        var training = new SmallTraining(backend, 20, 0)) {
      var saboteur = new Saboteur(training, Integer.MAX_VALUE);
      NonFiniteLossException e =
          assertThrows(
              NonFiniteLossException.class, () -> training.trainer.run(saboteur, () -> false));
      assertTrue(e.step() > FAULTY && e.step() <= FAULTY + 2, () -> "step " + e.step());
      String message = String.valueOf(e.getMessage());
      assertTrue(message.contains("got loss NaN and gradient norm NaN in step"), message);
      assertTrue(message.contains("--skip-nonfinite"), message);
      saboteur.put(saboteur.good);
      for (float weight : training.weights()) {
        assertTrue(Float.isFinite(weight));
      }
      assertTrue(training.momentsAreFinite());
    }
  }

  @Test
  void whatIsSpoilt_isNotSaved() throws IOException {
    try (Backend backend = Devices.open("cpu");
        var training = new SmallTraining(backend, 20, 2)) {
      var saboteur = new Saboteur(training, Integer.MAX_VALUE);
      NonFiniteException e =
          assertThrows(NonFiniteException.class, () -> training.trainer.run(saboteur, () -> false));
      assertEquals("checkpoint", e.op());
      String message = String.valueOf(e.getMessage());
      assertTrue(message.contains("NaN in the tensor " + PATH + "; got 1 NaN"), message);
      assertEquals(List.of(2, 4), saboteur.checkpoints);
    }
  }

  @Test
  void stepsThatAreSkipped_changeNothing() throws IOException {
    try (Backend backend = Devices.open("cpu");
        var training = new SmallTraining(backend, 20, 0)) {
      training.trainer.watch(new Trainer.Watch(4, false));
      var saboteur = new Saboteur(training, 2);
      Trainer.Result result = training.trainer.run(saboteur, () -> false);
      assertEquals(20, result.steps());
      int skipped = result.health().skipped();
      assertTrue(skipped >= 2 && skipped <= 4, () -> "skipped " + skipped);
      assertTrue(Double.isFinite(saboteur.reports.getLast().loss()));
      assertTrue(training.momentsAreFinite());
    }
    try (Backend backend = Devices.open("cpu");
        var training = new SmallTraining(backend, 20, 0)) {
      training.trainer.watch(new Trainer.Watch(4, false));
      var saboteur = new Saboteur(training, Integer.MAX_VALUE);
      NonFiniteLossException e =
          assertThrows(
              NonFiniteLossException.class, () -> training.trainer.run(saboteur, () -> false));
      assertTrue(String.valueOf(e.getMessage()).contains("the 5th such step in a row"));
    }
  }

  @Test
  void watchedTraining_namesTheParameter() throws IOException {
    try (Backend backend = Devices.open("cpu");
        var training = new SmallTraining(backend, 20, 0)) {
      training.trainer.watch(new Trainer.Watch(9, true));
      var saboteur = new Saboteur(training, Integer.MAX_VALUE);
      NonFiniteException e =
          assertThrows(NonFiniteException.class, () -> training.trainer.run(saboteur, () -> false));
      assertEquals("linear", e.op());
      assertEquals("blocks.0.attention.qkv", e.layer());
      assertEquals(1, e.notANumbers());
      assertFalse(e.isBackward());
    }
  }

  @Test
  void watchedTraining_hasTheSameBits() throws IOException {
    float[] plain;
    try (Backend backend = Devices.open("cpu");
        var training = new SmallTraining(backend, 12, 0)) {
      double[] _ = training.run();
      plain = training.weights();
    }
    try (Backend backend = Devices.open("cpu");
        var training = new SmallTraining(backend, 12, 0)) {
      training.trainer.watch(new Trainer.Watch(0, true));
      double[] _ = training.run();
      assertArrayEquals(plain, training.weights());
    }
  }
}
