package fornax.models.learn;

import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// Lying bars from 0, each with a name and its value.
final class Bars implements Picture {
  private static final int BAR_HEIGHT = 30;
  private static final int NAME_WIDTH = 180;
  private static final int BAR_WIDTH = 400;
  private static final int VALUE_WIDTH = 190;
  private static final int TOP = 44;

  private final String title;
  private final String format;
  private final List<Bar> bars = new ArrayList<>();

  private record Bar(String name, double value, String text) {}

  /// @param format of the values
  Bars(String title, String format) {
    this.title = title;
    this.format = format;
  }

  Bars add(String name, double value) {
    return add(name, value, String.format(Locale.ROOT, format, value));
  }

  Bars add(String name, double value, String text) {
    bars.add(new Bar(name, value, text));
    return this;
  }

  @Override
  public int width() {
    return NAME_WIDTH + BAR_WIDTH + VALUE_WIDTH;
  }

  @Override
  public int height() {
    return TOP + BAR_HEIGHT * bars.size() + 12;
  }

  @Override
  public void draw(Graphics2D paper) {
    double largest = bars.stream().mapToDouble(Bar::value).max().orElse(1);
    paper.setColor(Color.BLACK);
    paper.setFont(new Font(Font.SANS_SERIF, Font.BOLD, 15));
    paper.drawString(title, 14, 26);
    paper.setFont(new Font(Font.SANS_SERIF, Font.PLAIN, 13));
    for (int i = 0; i < bars.size(); i++) {
      Bar bar = bars.get(i);
      int y = TOP + i * BAR_HEIGHT;
      int width = (int) Math.max(2, BAR_WIDTH * bar.value() / largest);
      paper.setColor(Plot.BLUE);
      paper.fillRect(NAME_WIDTH, y + 3, width, BAR_HEIGHT - 8);
      paper.setColor(Color.BLACK);
      paper.drawString(bar.name(), 14, y + 19);
      paper.drawString(bar.text(), NAME_WIDTH + width + 8, y + 19);
    }
  }
}
