package fornax.data;

import java.util.List;
import java.util.function.Predicate;

/// Lets a text through piece by piece until one of the stop strings stands in it. What may be the
/// beginning of one is held back until that is known.
public final class StopStrings {
  private final List<String> stops;
  private final Predicate<String> sink;
  private final StringBuilder held = new StringBuilder();
  private boolean ended;

  /// @param stops none of them empty; may be none
  public StopStrings(List<String> stops, Predicate<String> sink) {
    this.stops = List.copyOf(stops);
    this.sink = sink;
  }

  /// Whether a stop string has ended the text.
  public boolean found() {
    return ended;
  }

  /// Takes a piece; whether the text goes on.
  public boolean next(String piece) {
    if (ended) {
      return false;
    }
    held.append(piece);
    int at = held.length();
    for (String stop : stops) {
      int found = held.indexOf(stop);
      if (found >= 0 && found < at) {
        at = found;
      }
    }
    ended = at < held.length();
    int ready = ended ? at : held.length() - heldBack();
    String text = held.substring(0, ready);
    boolean _ = held.delete(0, ready).isEmpty();
    return (text.isEmpty() || sink.test(text)) && !ended;
  }

  /// Lets out what is held back: the text has ended otherwise.
  public void end() {
    if (!ended && !held.isEmpty()) {
      boolean _ = sink.test(held.toString());
      held.setLength(0);
    }
  }

  // The length of the longest end of the text that a stop string begins with.
  private int heldBack() {
    int longest = 0;
    for (String stop : stops) {
      for (int n = Math.min(stop.length() - 1, held.length()); n > longest; n--) {
        if (stop.startsWith(held.substring(held.length() - n))) {
          longest = n;
        }
      }
    }
    return longest;
  }
}
