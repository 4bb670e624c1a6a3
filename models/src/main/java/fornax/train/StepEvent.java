package fornax.train;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Timespan;

/// A step of a training in a Java Flight Recording, when its loss is known.
@Name("fornax.Step")
@Label("Training Step")
@Description("An optimiser's step, reported when its loss is known: one step later")
@Category("Fornax")
@StackTrace(false)
final class StepEvent extends Event {
  @Label("Step")
  int step;

  @Label("Loss")
  double loss;

  @Label("Gradient Norm")
  double gradientNorm;

  @Label("Learning Rate")
  double learningRate;

  @Label("Tokens per Second")
  double tokensPerSecond;

  @Label("Loss Scale")
  double lossScale;

  @Label("Time since the Last")
  @Timespan(Timespan.NANOSECONDS)
  long nanos;

  private StepEvent() {}

  static void commit(TrainingListener.StepReport report, long nanos) {
    var event = new StepEvent();
    if (event.shouldCommit()) {
      event.step = report.step();
      event.loss = report.loss();
      event.gradientNorm = report.gradientNorm();
      event.learningRate = report.learningRate();
      event.tokensPerSecond = report.tokensPerSecond();
      event.lossScale = report.lossScale();
      event.nanos = nanos;
      event.commit();
    }
  }
}
