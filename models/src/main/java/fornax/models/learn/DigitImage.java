package fornax.models.learn;

import fornax.data.Mnist;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.imageio.ImageIO;

/// A drawn digit as MNIST's were prepared: ink on paper, in a box of 20 by 20 pixels, its centre of
/// mass in the middle of 28 by 28. Source: LeCun et al., Proc. IEEE 86 (1998), §III.A.
public final class DigitImage {
  private static final int BOX = 20;
  private static final double INK = 0.25; // above it a pixel belongs to the digit

  private DigitImage() {}

  /// The digit in an image file, dark on light or light on dark, in numbers from 0 (paper) to 1
  /// (ink), row by row.
  ///
  /// @throws IOException if it is no image, or has nothing on it
  public static float[] read(Path file) throws IOException {
    System.setProperty("java.awt.headless", "true");
    BufferedImage image;
    try (var in = Files.newInputStream(file)) {
      image = ImageIO.read(in);
    }
    if (image == null) {
      throw new IOException("image: " + file + " is no image that Java reads; need a PNG or JPEG");
    }
    double[][] ink = ink(image);
    int[] box = box(ink);
    if (box[2] < box[0]) {
      throw new IOException("image: nothing is drawn on " + file + "; need a digit");
    }
    return centre(shrink(ink, box));
  }

  /// From 0 to 1, 1 being furthest from the colour of the edges.
  private static double[][] ink(BufferedImage image) {
    int width = image.getWidth();
    int height = image.getHeight();
    double[][] light = new double[height][width];
    double lightest = 0;
    double darkest = 1;
    double edge = 0;
    int edges = 0;
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        light[y][x] = lightness(image.getRGB(x, y));
        lightest = Math.max(lightest, light[y][x]);
        darkest = Math.min(darkest, light[y][x]);
        if (y == 0 || x == 0 || y == height - 1 || x == width - 1) {
          edge += light[y][x];
          edges++;
        }
      }
    }
    boolean lightPaper = edge / edges > (lightest + darkest) / 2;
    double range = Math.max(lightest - darkest, 1e-3);
    for (double[] row : light) {
      for (int x = 0; x < width; x++) {
        row[x] = (lightPaper ? lightest - row[x] : row[x] - darkest) / range;
      }
    }
    return light;
  }

  /// Clear pixels are white.
  private static double lightness(int argb) {
    double alpha = (argb >>> 24) / 255.0;
    double grey = 0.299 * (argb >> 16 & 255) + 0.587 * (argb >> 8 & 255) + 0.114 * (argb & 255);
    return alpha * grey / 255 + 1 - alpha;
  }

  /// Left, top, right and bottom of the digit.
  private static int[] box(double[][] ink) {
    int[] box = {Integer.MAX_VALUE, Integer.MAX_VALUE, -1, -1};
    for (int y = 0; y < ink.length; y++) {
      for (int x = 0; x < ink[y].length; x++) {
        if (ink[y][x] > INK) {
          box[0] = Math.min(box[0], x);
          box[1] = Math.min(box[1], y);
          box[2] = Math.max(box[2], x);
          box[3] = Math.max(box[3], y);
        }
      }
    }
    return box;
  }

  /// The digit in at most 20 by 20 pixels.
  private static BufferedImage shrink(double[][] ink, int[] box) {
    int width = box[2] - box[0] + 1;
    int height = box[3] - box[1] + 1;
    var whole = new BufferedImage(width, height, BufferedImage.TYPE_BYTE_GRAY);
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        int value = (int) Math.round(255 * ink[box[1] + y][box[0] + x]);
        whole.getRaster().setSample(x, y, 0, value);
      }
    }
    while (Math.max(whole.getWidth(), whole.getHeight()) > 2 * BOX) {
      whole = scale(whole, 0.5); // by halves, so that every pixel counts
    }
    return scale(whole, (double) BOX / Math.max(whole.getWidth(), whole.getHeight()));
  }

  private static BufferedImage scale(BufferedImage image, double factor) {
    int width = Math.max(1, (int) Math.round(image.getWidth() * factor));
    int height = Math.max(1, (int) Math.round(image.getHeight() * factor));
    var scaled = new BufferedImage(width, height, BufferedImage.TYPE_BYTE_GRAY);
    Graphics2D paper = scaled.createGraphics();
    paper.setRenderingHint(
        RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_BILINEAR);
    paper.drawImage(image, 0, 0, width, height, null);
    paper.dispose();
    return scaled;
  }

  private static float[] centre(BufferedImage digit) {
    double sum = 0;
    double sumX = 0;
    double sumY = 0;
    for (int y = 0; y < digit.getHeight(); y++) {
      for (int x = 0; x < digit.getWidth(); x++) {
        int value = digit.getRaster().getSample(x, y, 0);
        sum += value;
        sumX += (x + 0.5) * value;
        sumY += (y + 0.5) * value;
      }
    }
    int left = (int) Math.round(Mnist.SIDE / 2.0 - sumX / sum);
    int top = (int) Math.round(Mnist.SIDE / 2.0 - sumY / sum);
    float[] pixels = new float[Mnist.PIXELS];
    for (int y = 0; y < digit.getHeight(); y++) {
      for (int x = 0; x < digit.getWidth(); x++) {
        int row = top + y;
        int column = left + x;
        if (row >= 0 && row < Mnist.SIDE && column >= 0 && column < Mnist.SIDE) {
          pixels[row * Mnist.SIDE + column] = digit.getRaster().getSample(x, y, 0) / 255f;
        }
      }
    }
    return pixels;
  }
}
