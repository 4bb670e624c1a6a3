package fornax.models.learn;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// A computation as boxes, each with a value and a gradient, and arrows from what it is made of.
final class GraphPicture implements Picture {
  private static final int BOX_WIDTH = 150;
  private static final int BOX_HEIGHT = 62;
  private static final int GAP_X = 60;
  private static final int GAP_Y = 26;
  private static final int MARGIN = 24;
  private static final int TITLE_HEIGHT = 36;
  private static final int ARROW = 8;

  private final String title;
  private final Map<String, Box> boxes = new LinkedHashMap<>();
  private final List<String[]> arrows = new ArrayList<>();

  private record Box(int column, double row, String text, double value, double gradient) {}

  GraphPicture(String title) {
    this.title = title;
  }

  /// @param text how it is computed
  GraphPicture box(
      String name, int column, double row, String text, double value, double gradient) {
    boxes.put(name, new Box(column, row, text, value, gradient));
    return this;
  }

  GraphPicture arrow(String from, String to) {
    arrows.add(new String[] {from, to});
    return this;
  }

  @Override
  public int width() {
    int columns = boxes.values().stream().mapToInt(Box::column).max().orElse(0) + 1;
    return 2 * MARGIN + columns * BOX_WIDTH + (columns - 1) * GAP_X;
  }

  @Override
  public int height() {
    double rows = boxes.values().stream().mapToDouble(Box::row).max().orElse(0);
    return (int) (2 * MARGIN + TITLE_HEIGHT + rows * (BOX_HEIGHT + GAP_Y) + BOX_HEIGHT);
  }

  private static int left(Box box) {
    return MARGIN + box.column() * (BOX_WIDTH + GAP_X);
  }

  private static int top(Box box) {
    return (int) (MARGIN + TITLE_HEIGHT + box.row() * (BOX_HEIGHT + GAP_Y));
  }

  @Override
  public void draw(Graphics2D paper) {
    paper.setColor(Color.BLACK);
    paper.setFont(new Font(Font.SANS_SERIF, Font.BOLD, 15));
    paper.drawString(title, MARGIN, MARGIN + 10);
    paper.setStroke(new BasicStroke(1.6f));
    for (String[] arrow : arrows) {
      Box from = boxes.get(arrow[0]);
      Box to = boxes.get(arrow[1]);
      if (from != null && to != null) {
        drawArrow(paper, from, to);
      }
    }
    for (Box box : boxes.values()) {
      drawBox(paper, box);
    }
  }

  private static void drawArrow(Graphics2D paper, Box from, Box to) {
    int x1 = left(from) + BOX_WIDTH;
    int y1 = top(from) + BOX_HEIGHT / 2;
    int x2 = left(to);
    int y2 = top(to) + BOX_HEIGHT / 2;
    paper.setColor(Plot.GREY);
    paper.drawLine(x1, y1, x2 - 2, y2);
    double angle = Math.atan2(y2 - y1, x2 - x1);
    int[] xs = new int[3];
    int[] ys = new int[3];
    for (int i = 0; i < 3; i++) {
      double turn = angle + (i - 1) * 2.6; // the tip, and two corners behind it
      double reach = i == 1 ? 0 : ARROW;
      xs[i] = (int) Math.round(x2 - 1 + (i == 1 ? 0 : reach * Math.cos(turn)));
      ys[i] = (int) Math.round(y2 + (i == 1 ? 0 : reach * Math.sin(turn)));
    }
    paper.fillPolygon(xs, ys, 3);
  }

  private static void drawBox(Graphics2D paper, Box box) {
    int x = left(box);
    int y = top(box);
    paper.setColor(Plot.PALE_BLUE);
    paper.fillRoundRect(x, y, BOX_WIDTH, BOX_HEIGHT, 10, 10);
    paper.setColor(Plot.BLUE);
    paper.drawRoundRect(x, y, BOX_WIDTH, BOX_HEIGHT, 10, 10);
    paper.setColor(Color.BLACK);
    paper.setFont(new Font(Font.SANS_SERIF, Font.BOLD, 14));
    paper.drawString(box.text(), x + 10, y + 19);
    paper.setFont(new Font(Font.SANS_SERIF, Font.PLAIN, 13));
    paper.drawString("value " + (float) (box.value() + 0.0), x + 10, y + 37);
    paper.setColor(Plot.RED);
    paper.drawString("gradient " + (float) (box.gradient() + 0.0), x + 10, y + 54);
  }
}
