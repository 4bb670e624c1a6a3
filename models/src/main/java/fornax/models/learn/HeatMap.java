package fornax.models.learn;

import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.geom.AffineTransform;
import java.util.Locale;
import java.util.function.DoubleFunction;

/// A matrix as coloured cells with their values, a name for each row and column.
///
/// @param rowTitle what the rows are
/// @param columnTitle what the columns are
/// @param values row by row; the largest is the darkest
/// @param cell the size of a cell
/// @param text what stands in a cell; `_ -> ""` for nothing
@SuppressWarnings("ArrayRecordComponent") // never compared
record HeatMap(
    String title,
    String rowTitle,
    String columnTitle,
    String[] rows,
    String[] columns,
    double[][] values,
    int cell,
    DoubleFunction<String> text)
    implements Picture {
  private static final int TITLE = 36;
  private static final int AXIS = 26;
  private static final int MARGIN = 16;
  private static final int LETTER = 8;

  /// The value with two decimals.
  static String twoDecimals(double value) {
    return String.format(Locale.ROOT, "%.2f", value);
  }

  private static int longest(String[] names) {
    int longest = 1;
    for (String name : names) {
      longest = Math.max(longest, name.length());
    }
    return longest * LETTER + 8;
  }

  private int left() {
    return MARGIN + AXIS + longest(rows);
  }

  private int top() {
    return TITLE + AXIS + 20;
  }

  @Override
  public int width() {
    int titleWidth = 2 * MARGIN + title.length() * 9;
    return Math.max(left() + columns.length * cell + MARGIN, titleWidth);
  }

  @Override
  public int height() {
    return top() + rows.length * cell + MARGIN;
  }

  @Override
  public void draw(Graphics2D paper) {
    double largest = 1e-12;
    for (double[] row : values) {
      for (double value : row) {
        largest = Math.max(largest, Math.abs(value));
      }
    }
    paper.setColor(Color.BLACK);
    paper.setFont(new Font(Font.SANS_SERIF, Font.BOLD, 15));
    paper.drawString(title, MARGIN, 24);
    paper.setFont(new Font(Font.SANS_SERIF, Font.ITALIC, 13));
    paper.drawString(columnTitle, left(), TITLE + 14);
    AffineTransform upright = paper.getTransform();
    paper.rotate(-Math.PI / 2, MARGIN + 8, top() + rows.length * cell);
    paper.drawString(rowTitle, MARGIN + 8, top() + rows.length * cell + 6);
    paper.setTransform(upright);
    paper.setFont(new Font(Font.SANS_SERIF, Font.PLAIN, 12));
    for (int c = 0; c < columns.length; c++) {
      centre(paper, columns[c], left() + c * cell, top() - 18);
    }
    for (int r = 0; r < rows.length; r++) {
      paper.setColor(Color.BLACK);
      paper.drawString(rows[r], MARGIN + AXIS, top() + r * cell + cell / 2 + 5);
      for (int c = 0; c < columns.length; c++) {
        double share = values[r][c] / largest;
        paper.setColor(Tiles.colour(share));
        paper.fillRect(left() + c * cell, top() + r * cell, cell - 1, cell - 1);
        paper.setColor(Math.abs(share) > 0.6 ? Color.WHITE : Color.DARK_GRAY);
        paper.setFont(new Font(Font.SANS_SERIF, Font.PLAIN, cell < 40 ? 9 : 12));
        centre(paper, text.apply(values[r][c]), left() + c * cell, top() + r * cell + cell / 2 - 9);
        paper.setFont(new Font(Font.SANS_SERIF, Font.PLAIN, 12));
      }
    }
  }

  private void centre(Graphics2D paper, String what, int x, int y) {
    int width = paper.getFontMetrics().stringWidth(what);
    paper.drawString(what, x + (cell - width) / 2f, y + 14f);
  }
}
