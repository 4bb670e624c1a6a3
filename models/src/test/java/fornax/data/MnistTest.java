package fornax.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The idx files of a folder.
class MnistTest {
  @TempDir Path folder;

  private void write(String images) throws IOException {
    var image = ByteBuffer.allocate(16 + Mnist.PIXELS);
    image.putInt(2051).putInt(1).putInt(28).putInt(28).put(16 + 29, (byte) 255);
    byte[] label = ByteBuffer.allocate(9).putInt(2049).putInt(1).put((byte) 7).array();
    for (String part : new String[] {"train", "t10k"}) {
      Path _ =
          Files.write(
              folder.resolve(part + "-images-idx3-ubyte" + images),
              images.isEmpty() ? image.array() : MnistFuzzTest.zipped(image.array()));
      Path _ = Files.write(folder.resolve(part + "-labels-idx1-ubyte"), label);
    }
  }

  @Test
  void plainAndZipped() throws IOException {
    for (String zipped : new String[] {".gz", ""}) {
      write(zipped);
      Mnist.Digits digits = Mnist.load(folder).test();
      assertEquals(1, digits.size());
      assertEquals(7, digits.label(0));
      assertEquals(1f, digits.images(new int[] {0})[29]);
    }
  }

  @Test
  void zipOfMoreThanMnist_isNotUnpacked() throws IOException {
    write(".gz");
    byte[] bomb = MnistFuzzTest.zipped(new byte[1 << 27]);
    assertTrue(bomb.length < 1 << 18);
    Path _ = Files.write(folder.resolve("train-images-idx3-ubyte.gz"), bomb);
    var e = assertThrows(DataException.class, () -> Mnist.load(folder));
    assertTrue(String.valueOf(e.getMessage()).contains("holds more than 67108864 bytes"));
  }
}
