package fornax.train;

import fornax.backend.Backend;
import fornax.backend.BackendProvider;
import fornax.backend.OutOfDeviceMemoryException;
import fornax.backend.Owner;
import fornax.data.DataException;
import fornax.data.TokenDataset;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.GptConfig;
import fornax.nn.Weights;
import fornax.train.TrainOptions.OptimizerOptions;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.EnumMap;
import java.util.Map;

/// What memory training takes: found by training for two steps on a device that only counts
/// ([fornax.backend.ShapesOnly]), so that it is right for whatever the code does.
///
/// @param atPeak the bytes of each owner when most were live
/// @param peakBytes the most bytes that were live at a time
/// @param systemBytes what the device was asked for: a little more, for memory is pooled by size
public record MemoryPlan(Map<Owner, Long> atPeak, long peakBytes, long systemBytes) {
  private static final int STEPS = 2; // the second is the one that is captured
  private static final OptimizerOptions PLAIN = new OptimizerOptions(1e-3, 0, 0, 0.9, 0.99, 0.1, 1);
  private static final long UNLIMITED = Long.MAX_VALUE / 2;

  public MemoryPlan {
    atPeak = Map.copyOf(atPeak);
  }

  /// What training takes on a device of `provider` with `deviceBytes` bytes of memory, were there
  /// no limit.
  public static MemoryPlan of(
      GptConfig model, TrainOptions options, BackendProvider provider, long deviceBytes) {
    try (Backend device = provider.shapesOnly(deviceBytes)) {
      device.memory().setLimit(UNLIMITED);
      return run(model, options, device);
    }
  }

  /// The largest batch that fits into `deviceBytes` bytes of memory; 0 if not even 1 does.
  public static int largestBatch(
      GptConfig model, TrainOptions options, BackendProvider provider, long deviceBytes) {
    int most = Integer.MAX_VALUE / model.context();
    int fitting = 0;
    int tooLarge = most + 1;
    int next = guess(model, options, provider, deviceBytes, most);
    while (tooLarge - fitting > 1) {
      if (fits(model, options.toBuilder().batch(next).build(), provider, deviceBytes)) {
        fitting = next;
        next = tooLarge > most ? Math.min(most, 2 * next) : fitting + (tooLarge - fitting) / 2;
      } else {
        tooLarge = next;
        next = fitting + (tooLarge - fitting) / 2;
      }
    }
    return fitting;
  }

  // By the line through one sequence and two; of live bytes, for pooled sizes may be the same.
  private static int guess(
      GptConfig model, TrainOptions options, BackendProvider provider, long bytes, int most) {
    long one = of(model, options.toBuilder().batch(1).build(), provider, bytes).peakBytes();
    long two = of(model, options.toBuilder().batch(2).build(), provider, bytes).peakBytes();
    return (int) Math.clamp((bytes - one) / Math.max(1, two - one), 1L, (long) most);
  }

  private static boolean fits(
      GptConfig model, TrainOptions options, BackendProvider provider, long deviceBytes) {
    try (Backend device = provider.shapesOnly(deviceBytes)) {
      MemoryPlan _ = run(model, options, device);
      return true;
    } catch (OutOfDeviceMemoryException _) {
      return false;
    }
  }

  private static MemoryPlan run(GptConfig model, TrainOptions options, Backend device) {
    TrainOptions few =
        TrainOptions.builder(STEPS + 1, options.batch(), PLAIN)
            .accumulate(options.accumulate())
            .precision(options.precision())
            .recompute(options.recompute())
            .build();
    int[] asked = {0};
    try (var gpt = new Gpt(model, Weights.zeros(device, 0));
        var trainer = new Trainer(gpt, anyText(model), few)) {
      var _ = trainer.run(new Nobody(), () -> asked[0]++ == STEPS);
      Map<Owner, Long> owners = new EnumMap<>(Owner.class);
      for (Owner owner : Owner.values()) {
        owners.put(owner, device.memory().atPeak(owner));
      }
      return new MemoryPlan(
          owners, device.memory().stats().peak(), device.memory().stats().system());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  // As short as it may be.
  private static TokenDataset anyText(GptConfig model) throws DataException {
    return TokenDataset.of(new int[10 * model.context() + 10], model.context());
  }

  private static final class Nobody implements TrainingListener {
    @Override
    public void stepped(StepReport report) {}

    @Override
    public void evaluated(int step, Evaluation validation) {}

    @Override
    public void sampleDue(int step) {}
  }
}
