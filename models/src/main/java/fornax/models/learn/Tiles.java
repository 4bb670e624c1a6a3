package fornax.models.learn;

import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.util.ArrayList;
import java.util.List;

/// Small images of numbers side by side, each with a caption: 0 is white, positive numbers are
/// blue, negative ones red, the largest of each image the darkest.
final class Tiles implements Picture {
  private static final int GAP = 14;
  private static final int CAPTION = 20;
  private static final int TITLE = 34;

  private final String title;
  private final int columns;
  private final int scale;
  private final List<Tile> tiles = new ArrayList<>();

  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Tile(String caption, int width, float[] values) {
    int height() {
      return values.length / width;
    }
  }

  /// @param scale the size of a pixel
  Tiles(String title, int columns, int scale) {
    this.title = title;
    this.columns = columns;
    this.scale = scale;
  }

  /// Adds an image `values` of rows of `width`.
  Tiles add(String caption, int width, float[] values) {
    tiles.add(new Tile(caption, width, values.clone()));
    return this;
  }

  private int tileWidth() {
    return tiles.stream().mapToInt(Tile::width).max().orElse(0) * scale + GAP;
  }

  private int tileHeight() {
    return tiles.stream().mapToInt(Tile::height).max().orElse(0) * scale + CAPTION + GAP;
  }

  @Override
  public int width() {
    return GAP + columns * tileWidth();
  }

  @Override
  public int height() {
    return TITLE + (tiles.size() + columns - 1) / columns * tileHeight();
  }

  @Override
  public void draw(Graphics2D paper) {
    paper.setColor(Color.BLACK);
    paper.setFont(new Font(Font.SANS_SERIF, Font.BOLD, 15));
    paper.drawString(title, GAP, 22);
    paper.setFont(new Font(Font.SANS_SERIF, Font.PLAIN, 12));
    for (int i = 0; i < tiles.size(); i++) {
      int x = GAP + i % columns * tileWidth();
      int y = TITLE + i / columns * tileHeight();
      draw(paper, tiles.get(i), x, y);
    }
  }

  private void draw(Graphics2D paper, Tile tile, int x, int y) {
    float largest = 1e-12f;
    for (float value : tile.values()) {
      largest = Math.max(largest, Math.abs(value));
    }
    for (int i = 0; i < tile.values().length; i++) {
      paper.setColor(colour(tile.values()[i] / largest));
      paper.fillRect(x + i % tile.width() * scale, y + i / tile.width() * scale, scale, scale);
    }
    int bottom = y + tile.height() * scale;
    paper.setColor(Color.LIGHT_GRAY);
    paper.drawRect(x, y, tile.width() * scale, tile.height() * scale);
    paper.setColor(Color.BLACK);
    paper.drawString(tile.caption(), x, bottom + CAPTION - 5);
  }

  /// From red at −1 over white at 0 to blue at 1.
  static Color colour(double value) {
    double share = Math.min(1, Math.abs(value));
    Color full = value < 0 ? Plot.RED : Plot.BLUE;
    return new Color(
        (int) (255 + share * (full.getRed() - 255)),
        (int) (255 + share * (full.getGreen() - 255)),
        (int) (255 + share * (full.getBlue() - 255)));
  }
}
