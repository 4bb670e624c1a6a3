package fornax.models.learn;

import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.imageio.ImageIO;

/// Something drawn, of a fixed size.
interface Picture {
  int width();

  int height();

  /// Draws onto white paper.
  void draw(Graphics2D paper);

  /// Writes it as a PNG file.
  default void write(Path file) throws IOException {
    System.setProperty("java.awt.headless", "true");
    var image = new BufferedImage(width(), height(), BufferedImage.TYPE_INT_RGB);
    Graphics2D paper = image.createGraphics();
    paper.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
    paper.setRenderingHint(
        RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
    paper.setColor(java.awt.Color.WHITE);
    paper.fillRect(0, 0, width(), height());
    draw(paper);
    paper.dispose();
    try (var out = Files.newOutputStream(file)) {
      if (!ImageIO.write(image, "png", out)) {
        throw new IOException(
            "picture: this JDK writes no PNG files; need the module java.desktop");
      }
    }
  }

  /// Pictures side by side.
  static Picture beside(Picture... parts) {
    int width = 0;
    int height = 0;
    for (Picture part : parts) {
      width += part.width();
      height = Math.max(height, part.height());
    }
    return of(
        width,
        height,
        paper -> {
          int x = 0;
          for (Picture part : parts) {
            Graphics2D place = (Graphics2D) paper.create(x, 0, part.width(), part.height());
            part.draw(place);
            place.dispose();
            x += part.width();
          }
        });
  }

  /// A picture that `drawing` draws.
  static Picture of(int width, int height, java.util.function.Consumer<Graphics2D> drawing) {
    return new Picture() {
      @Override
      public int width() {
        return width;
      }

      @Override
      public int height() {
        return height;
      }

      @Override
      public void draw(Graphics2D paper) {
        drawing.accept(paper);
      }
    };
  }
}
