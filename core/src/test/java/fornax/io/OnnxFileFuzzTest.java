package fornax.io;

import static java.nio.charset.StandardCharsets.UTF_8;

import fornax.testkit.Fuzz;
import fornax.testkit.FuzzFolder;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

/// Any bytes are an ONNX model or a [CorruptFileException].
class OnnxFileFuzzTest {
  private static final FuzzFolder FOLDER =
      FuzzFolder.of(new LinkedHashMap<>(Map.of("x.onnx", model())), 1);

  static final Fuzz FUZZ =
      Fuzz.of("onnx", OnnxFileFuzzTest::read).seeds(FOLDER.seeds()).words("MatMul", "Add");

  /// A field that has a length: its tag, the length, and `parts`.
  private static byte[] field(int number, byte[]... parts) {
    var out = new ByteArrayOutputStream();
    for (byte[] part : parts) {
      out.writeBytes(part);
    }
    byte[] all = out.toByteArray();
    out.reset();
    out.write(number << 3 | 2);
    out.write(all.length & 0x7f | 0x80); // a length of two bytes
    out.write(all.length >>> 7);
    out.writeBytes(all);
    return out.toByteArray();
  }

  private static byte[] text(int number, String text) {
    return field(number, text.getBytes(UTF_8));
  }

  private static byte[] number(int number, int value) {
    return new byte[] {(byte) (number << 3), (byte) value};
  }

  private static byte[] model() {
    byte[] node = field(1, text(1, "x"), text(1, "w"), text(2, "y"), text(4, "MatMul"));
    byte[] floats =
        field(5, number(1, 2), number(1, 3), number(2, 1), text(8, "w"), field(9, new byte[24]));
    byte[] longs =
        field(5, field(1, new byte[] {2}), number(2, 7), text(8, "i"), field(9, new byte[16]));
    var out = new ByteArrayOutputStream();
    out.writeBytes(number(1, 8));
    out.writeBytes(field(7, node, floats, longs));
    return out.toByteArray();
  }

  private static void read(byte[] input) throws IOException {
    try (var file = OnnxFile.open(FOLDER.with(input).resolve("x.onnx"))) {
      for (HostTensor tensor : file.initializers().values()) {
        double[] _ = tensor.doubles();
      }
      int _ = file.nodes().hashCode();
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
