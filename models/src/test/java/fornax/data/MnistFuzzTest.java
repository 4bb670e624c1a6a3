package fornax.data;

import fornax.testkit.Fuzz;
import fornax.testkit.FuzzFolder;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;

/// Any bytes are MNIST's idx files, plain or gzipped, or a [DataException].
class MnistFuzzTest {
  private static final FuzzFolder FOLDER = folder();

  static final Fuzz FUZZ = Fuzz.of("idx", MnistFuzzTest::read).seeds(FOLDER.seeds());

  private static FuzzFolder folder() {
    byte[] images =
        ByteBuffer.allocate(16 + 2 * Mnist.PIXELS)
            .putInt(2051)
            .putInt(2)
            .putInt(Mnist.SIDE)
            .putInt(Mnist.SIDE)
            .array();
    byte[] labels =
        ByteBuffer.allocate(10).putInt(2049).putInt(2).put((byte) 3).put((byte) 9).array();
    SequencedMap<String, byte[]> files = new LinkedHashMap<>();
    files.put("train-images-idx3-ubyte", images);
    files.put("train-labels-idx1-ubyte", labels);
    files.put("t10k-images-idx3-ubyte.gz", zipped(images));
    files.put("t10k-labels-idx1-ubyte.gz", zipped(labels));
    return FuzzFolder.of(files, 4);
  }

  static byte[] zipped(byte[] bytes) {
    var out = new ByteArrayOutputStream();
    try (var zip = new GZIPOutputStream(out)) {
      zip.write(bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return out.toByteArray();
  }

  private static void read(byte[] input) throws IOException {
    Mnist mnist = Mnist.load(FOLDER.with(input));
    for (Mnist.Digits digits : new Mnist.Digits[] {mnist.training(), mnist.test()}) {
      for (int i = 0; i < digits.size(); i++) {
        float[] _ = digits.images(new int[] {i});
        if (digits.label(i) < 0 || digits.label(i) > 9) {
          throw new AssertionError(digits.label(i));
        }
      }
    }
  }

  /// Jazzer's way in.
  public static void fuzzerTestOneInput(byte[] input) {
    FUZZ.check(input);
  }

  @Test
  void anyBytes_areReadOrRefused() {
    FUZZ.run();
  }
}
