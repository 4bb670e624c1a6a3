package fornax.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.errorprone.annotations.CanIgnoreReturnValue;
import fornax.array.Shape;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OnnxFileTest {
  @TempDir Path folder;

  /// Writes messages, as the format's page says.
  private static final class Message {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    @CanIgnoreReturnValue
    private Message varint(long value) {
      long rest = value;
      while ((rest & ~0x7fL) != 0) {
        out.write((int) (rest & 0x7f | 0x80));
        rest >>>= 7;
      }
      out.write((int) rest);
      return this;
    }

    @CanIgnoreReturnValue
    Message number(int field, long value) {
      return varint((long) field << 3).varint(value);
    }

    @CanIgnoreReturnValue
    Message bytes(int field, byte[] value) {
      varint((long) field << 3 | 2).varint(value.length);
      out.writeBytes(value);
      return this;
    }

    @CanIgnoreReturnValue
    Message string(int field, String value) {
      return bytes(field, value.getBytes(StandardCharsets.UTF_8));
    }

    byte[] done() {
      return out.toByteArray();
    }
  }

  private static byte[] floats(float... values) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    return bytes.array();
  }

  private static byte[] tensor(String name, int type, long[] dims, byte[] raw) {
    var message = new Message();
    for (long dim : dims) {
      message.number(1, dim);
    }
    return message.number(2, type).string(8, name).bytes(9, raw).done();
  }

  private static byte[] model(byte[]... tensors) {
    var node = new Message().string(1, "x").string(1, "w").string(2, "y").string(4, "MatMul");
    var graph = new Message().bytes(1, node.done()).string(2, "a graph's name");
    for (byte[] tensor : tensors) {
      graph.bytes(5, tensor);
    }
    return new Message().number(1, 6).bytes(7, graph.done()).done();
  }

  private Path write(byte[] bytes) throws IOException {
    return Files.write(folder.resolve("model.onnx"), bytes);
  }

  private static byte[] whole() {
    byte[] packedDims = new Message().varint(2).varint(200).done();
    float[] many = new float[400];
    many[399] = -1.5f;
    byte[] packed =
        new Message()
            .bytes(1, packedDims)
            .number(2, 1)
            .bytes(4, floats(many)) // float_data
            .string(8, "packed")
            .done();
    return model(
        tensor("w", 1, new long[] {2, 3}, floats(1, 2, 3, 4, 5, 6)),
        tensor("one", 7, new long[0], new byte[] {42, 0, 0, 0, 0, 0, 0, 0}),
        packed);
  }

  private static HostTensor tensor(OnnxFile file, String name) {
    return Objects.requireNonNull(file.initializers().get(name));
  }

  private static String message(Throwable error) {
    return String.valueOf(error.getMessage());
  }

  @Test
  void open_readsTensorsAndNodes() throws IOException {
    try (var file = OnnxFile.open(write(whole()))) {
      assertEquals(
          List.of("w", "one", "packed"), List.copyOf(file.initializers().sequencedKeySet()));
      HostTensor w = tensor(file, "w");
      assertEquals("F32 [2, 3]", w.toString());
      assertArrayEquals(new float[] {1, 2, 3, 4, 5, 6}, w.floats());
      assertArrayEquals(new int[] {42}, tensor(file, "one").ints());
      HostTensor packed = tensor(file, "packed");
      assertEquals(Shape.of(2, 200), packed.shape());
      assertEquals(-1.5f, packed.floats()[399]);
      assertEquals(
          List.of(new OnnxFile.Node("MatMul", List.of("x", "w"), List.of("y"))), file.nodes());
    }
  }

  @Test
  void open_refusesEveryCutAndSurvivesEveryFlippedBit() throws IOException {
    byte[] whole = whole();
    for (int length = 0; length < whole.length; length += length < 250 ? 1 : 97) {
      byte[] cut = Arrays.copyOf(whole, length);
      if (length != 2) { // the version alone is a message too, but has no graph
        assertThrows(CorruptFileException.class, () -> OnnxFile.open(write(cut)).close());
      }
    }
    var random = new SplittableRandom(1);
    int refused = 0;
    for (int i = 0; i < 500; i++) {
      byte[] flipped = whole.clone();
      flipped[random.nextInt(200)] ^= (byte) (1 << random.nextInt(8)); // before the zeros
      try (var read = OnnxFile.open(write(flipped))) {
        assertTrue(read.nodes().size() <= 1); // a flipped value, or a name
      } catch (CorruptFileException e) {
        assertTrue(message(e).contains("model.onnx"), message(e));
        refused++;
      }
    }
    assertTrue(refused > 50, "refused " + refused);
  }

  private String error(byte[] bytes) throws IOException {
    Path path = write(bytes);
    return message(assertThrows(CorruptFileException.class, () -> OnnxFile.open(path).close()))
        .replace(path.toString(), "FILE");
  }

  @Test
  void open_saysWhatIsWrong() throws IOException {
    assertEquals(
        "FILE: tensor \"w\": 8 bytes of values; need 12 for F32 [3]",
        error(model(tensor("w", 1, new long[] {3}, floats(1, 2)))));
    assertEquals(
        "FILE: tensor \"w\": the data type 8; need " + FileDType.list(),
        error(model(tensor("w", 8, new long[] {1}, floats(1)))));
    assertEquals(
        "FILE: tensor \"w\": the shape [-1]; need at most 64 sizes of at least 0",
        error(model(tensor("w", 1, new long[] {-1}, floats()))));
    assertTrue(
        error(model(tensor("w", 1, new long[] {Long.MAX_VALUE, 4}, floats(1))))
            .endsWith("need fewer elements"));
    byte[] w = tensor("w", 1, new long[] {1}, floats(1));
    assertEquals(
        "FILE: tensor \"w\": stands twice; need each tensor at most once", error(model(w, w)));
    byte[] outside = new Message().number(2, 1).string(8, "w").number(14, 1).done();
    assertTrue(error(model(outside)).contains("its values are in another file"));
    assertEquals("FILE: found no graph; need an ONNX model", error(new byte[0]));
    assertThrows(NoSuchFileException.class, () -> OnnxFile.open(folder.resolve("none")).close());
  }
}
