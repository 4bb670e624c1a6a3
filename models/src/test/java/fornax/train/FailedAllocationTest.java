package fornax.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.OutOfDeviceMemoryException;
import fornax.models.Devices;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.GptConfig;
import fornax.nn.Precision;
import fornax.nn.Weights;
import fornax.optim.AdamW;
import fornax.optim.GradientClip;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Memory runs out at every place of a training step, forward, backward and in the optimiser.
class FailedAllocationTest {
  private static final GptConfig CONFIG = new GptConfig(11, 8, 1, 2, 12, 0.1);

  /// A model and its optimiser, and the step that trains them.
  private static final class Training implements AutoCloseable {
    private final Backend backend;
    private final Gpt model;
    private final AdamW optimizer;
    private final GradientClip clip;
    private final Tensor tokens;
    private final Tensor targets;

    Training(Backend backend, Precision precision) {
      this.backend = backend;
      model = new Gpt(CONFIG, Weights.on(backend, 7));
      model.computeIn(precision);
      optimizer =
          new AdamW(
              ParameterGroup.decayMatrices(model.parameters(), 0.1),
              Schedule.constant(1e-2),
              AdamW.Options.DEFAULT);
      clip = GradientClip.byGlobalNorm(backend, 1);
      tokens = batch(1).escape();
      targets = batch(2).escape();
    }

    private Tensor batch(long seed) {
      int[] ids = new Random(seed).ints(3L * 8, 0, 11).toArray();
      return Tensors.on(backend).of(ids, Shape.of(3, 8));
    }

    double step() {
      try (var _ = Scope.open()) {
        model.generator().setStep(1);
        Tensor loss = model.loss(tokens, targets);
        loss.backward();
        optimizer.step(clip.scale(optimizer.parameters()));
        return loss.item();
      } finally {
        optimizer.zeroGrad();
      }
    }

    float[] weights() {
      float[] all = new float[Math.toIntExact(model.parameterCount())];
      int at = 0;
      for (Tensor parameter : model.parameters().values()) {
        float[] values = parameter.toFloatArray();
        System.arraycopy(values, 0, all, at, values.length);
        at += values.length;
      }
      return all;
    }

    long live() {
      backend.synchronize();
      return backend.memory().stats().live();
    }

    @Override
    public void close() {
      targets.close();
      tokens.close();
      clip.close();
      optimizer.close();
      model.close();
    }
  }

  @ParameterizedTest
  @CsvSource({"reference, F32", "cpu, F32", "cpu, BF16"})
  void step_changesNothingWhereMemoryRunsOut_andTheNextWorks(String device, Precision precision) {
    check(device, precision);
  }

  @Test
  @Tag("slow")
  void step_changesNothingWhereMemoryRunsOut_onOpenCl() {
    Devices.requireOpenCl();
    check("opencl", Precision.F32);
  }

  private static void check(String device, Precision precision) {
    // The reference backend's AdamW needs memory for each group of parameters.
    boolean whole = !device.equals("reference");
    try (Backend backend = Devices.open(device)) {
      double[] losses;
      float[] weights;
      try (var undisturbed = new Training(backend, precision)) {
        losses = new double[] {undisturbed.step(), undisturbed.step()};
        weights = undisturbed.weights();
      }
      assertEquals(0, backend.memory().stats().live());
      int failures = 0;
      try (var training = new Training(backend, precision)) {
        assertEquals(losses[0], training.step());
        long live = training.live();
        float[] before = training.weights();
        while (true) {
          backend.memory().refuse(failures + 1);
          if (failures > 1000) {
            throw new AssertionError("a step never passes");
          }
          try {
            assertEquals(losses[1], training.step(), whole ? 0 : 1, failures + " failures");
            break;
          } catch (OutOfDeviceMemoryException e) {
            assertTrue(String.valueOf(e.getMessage()).contains("parameters"), e.getMessage());
          }
          failures++;
          assertEquals(live, training.live(), () -> "left behind: " + backend.memory().leaks());
          if (whole) {
            assertArrayEquals(before, training.weights(), "failure " + failures);
          }
        }
        backend.memory().refuse(0);
        assertTrue(failures > 30, "only " + failures + " allocations failed");
        if (whole) {
          assertArrayEquals(weights, training.weights());
        }
      }
      assertEquals(0, backend.memory().stats().live());
    }
  }

  @ParameterizedTest
  @CsvSource({"reference", "cpu"})
  void construction_givesBackWhatItHas(String device) {
    try (Backend backend = Devices.open(device)) {
      assertThrows(
          OutOfDeviceMemoryException.class,
          () -> {
            backend.memory().setLimit(8_000);
            try (var training = new Training(backend, Precision.F32)) {
              throw new AssertionError("it fits: a step costs " + training.step());
            }
          });
      backend.memory().setLimit(Long.MAX_VALUE);
      try (var training = new Training(backend, Precision.F32)) {
        assertTrue(Double.isFinite(training.step()));
      }
    }
  }
}
