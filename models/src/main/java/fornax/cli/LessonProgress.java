package fornax.cli;

import fornax.models.learn.Lesson;
import org.jspecify.annotations.Nullable;

/// A progress display for each training loop of a lesson, one after the other.
final class LessonProgress implements Lesson.Listener, AutoCloseable {
  private final Output output;
  private final int columns;
  private @Nullable Progress display;
  private int last;

  LessonProgress(Output output) {
    this.output = output;
    columns = output.columns();
  }

  @Override
  public void stepped(int step, int steps, double loss) {
    Progress current = display;
    if (current != null && step <= last) {
      current.close();
      current = null;
    }
    if (current == null) {
      current =
          columns > 0
              ? new ProgressBarDisplay(output.err(), columns, steps)
              : new ProgressLines(output.err());
      display = current;
    }
    current.show(new Progress.Status(step, steps, loss, Double.NaN, 0, 0), step == steps);
    last = step;
  }

  @Override
  public void close() {
    Progress current = display;
    if (current != null) {
      current.close();
      display = null;
    }
  }
}
