package fornax.io;

import static fornax.io.SafeTensorsTest.assertMessage;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.Shape;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class NpyTest {
  @TempDir Path folder;

  /// A file as NumPy 2.4.6 wrote it: all these have a header that ends at byte 128.
  private static byte[] numpy(int version, String dictionary, String data64) {
    byte[] data = Base64.getDecoder().decode(data64);
    var out = ByteBuffer.allocate(128 + data.length).order(ByteOrder.LITTLE_ENDIAN);
    out.put((byte) 0x93).put("NUMPY".getBytes(StandardCharsets.US_ASCII));
    out.put((byte) version).put((byte) 0);
    if (version == 1) {
      out.putShort((short) 118);
    } else {
      out.putInt(116);
    }
    out.put(dictionary.getBytes(StandardCharsets.US_ASCII));
    while (out.position() < 127) {
      out.put((byte) ' ');
    }
    return out.put((byte) '\n').put(data).array();
  }

  private static HostTensor parse(byte[] file) throws CorruptFileException {
    return Npy.parse(Path.of("x.npy"), MemorySegment.ofArray(file));
  }

  private static final byte[] F4 =
      numpy(
          1,
          "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
          "AAAAAAAAgD4AAAA/AABAPwAAgD8AAKA/");

  @Test
  void readsWhatNumPyWrote() throws IOException {
    HostTensor f4 = parse(F4);
    assertEquals(Shape.of(2, 3), f4.shape());
    assertArrayEquals(new float[] {0, 0.25f, 0.5f, 0.75f, 1, 1.25f}, f4.floats());

    HostTensor f8 =
        parse(
            numpy(
                1,
                "{'descr': '>f8', 'fortran_order': True, 'shape': (2, 3, 2), }",
                "AAAAAAAAAABAGAAAAAAAAEAAAAAAAAAAQCAAAAAAAABAEAAAAAAAAEAkAAAAAAAA"
                    + "P/AAAAAAAABAHAAAAAAAAEAIAAAAAAAAQCIAAAAAAABAFAAAAAAAAEAmAAAAAAAA"));
    assertEquals(Shape.of(2, 3, 2), f8.shape());
    assertArrayEquals(new double[] {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, f8.doubles());

    HostTensor i8 =
        parse(numpy(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (), }", "+/////////8="));
    assertEquals(Shape.of(), i8.shape());
    assertArrayEquals(new int[] {-5}, i8.ints());

    HostTensor u1 =
        parse(numpy(2, "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }", "AQL/"));
    assertEquals(Shape.of(3), u1.shape());
    assertArrayEquals(new int[] {1, 2, 255}, u1.ints());

    HostTensor b1 =
        parse(numpy(3, "{'descr': '|b1', 'fortran_order': False, 'shape': (2, 1), }", "AQA="));
    assertEquals(FileDType.BOOL, b1.dtype());
    assertArrayEquals(new int[] {1, 0}, b1.ints());

    HostTensor f2 =
        parse(
            numpy(1, "{'descr': '>f2', 'fortran_order': False, 'shape': (4,), }", "PgCAAHwAAAE="));
    assertArrayEquals(new float[] {1.5f, -0f, Float.POSITIVE_INFINITY, 0x1p-24f}, f2.floats());

    HostTensor i4 =
        parse(
            numpy(
                1,
                "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }",
                "AAAAAAMAAAABAAAABAAAAAIAAAAFAAAA"));
    assertArrayEquals(new int[] {0, 1, 2, 3, 4, 5}, i4.ints());
  }

  @Test
  void writesTheBytesOfNumPy() throws IOException {
    Path path = folder.resolve("a.npy");
    Npy.write(path, parse(F4));
    assertArrayEquals(F4, Files.readAllBytes(path));
    byte[] scalar =
        numpy(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (), }", "+/////////8=");
    Npy.write(path, HostTensor.ofLongs(Shape.of(), -5));
    assertArrayEquals(scalar, Files.readAllBytes(path));
    byte[] vector = numpy(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (1,), }", "AQ==");
    Npy.write(path, HostTensor.ofInts(FileDType.BOOL, Shape.of(1), 1));
    assertArrayEquals(vector, Files.readAllBytes(path));
  }

  @Test
  void everyDTypeMakesTheRoundTrip() throws IOException {
    Path path = folder.resolve("a.npy");
    Shape shape = Shape.of(2, 1, 2);
    for (HostTensor tensor :
        List.of(
            HostTensor.ofFloats(FileDType.F16, shape, 1, 2, 3, 4),
            HostTensor.ofFloats(FileDType.F32, shape, 1, 2, 3, Float.NaN),
            HostTensor.ofDoubles(shape, 1, 2, 3, Double.MIN_VALUE),
            HostTensor.ofInts(FileDType.I32, shape, 1, 2, 3, Integer.MIN_VALUE),
            HostTensor.ofLongs(shape, 1, 2, 3, Long.MIN_VALUE),
            HostTensor.ofInts(FileDType.U8, shape, 1, 2, 3, 255),
            HostTensor.ofInts(FileDType.BOOL, shape, 1, 0, 0, 1),
            HostTensor.ofFloats(FileDType.F32, Shape.of(0, 7)))) {
      Npy.write(path, tensor);
      HostTensor read = Npy.read(path);
      assertEquals(tensor.dtype(), read.dtype());
      assertEquals(tensor.shape(), read.shape());
      assertEquals(-1, tensor.bytes().mismatch(read.bytes()));
    }
    var bf16 = HostTensor.ofFloats(FileDType.BF16, shape, 1, 2, 3, 4);
    var e = assertThrows(IllegalArgumentException.class, () -> Npy.write(path, bf16));
    assertMessage(e, "got BF16", "convert to F32");
  }

  /// Each line: the dictionary, and after `|` the parts its message must have. The data are 8
  /// bytes.
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), } | 8 bytes of data; need 12, F32"
            + " [3]",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } | 8 bytes of data; need 4",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2), } | no tuple",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), } | no dimension of 0",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), } | no"
            + " dimension",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), } | 2^63",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), } | 4000000000000",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,), } | neither True nor False",
        "{'descr': '<f4', 'shape': (2,), } | a key missing",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)} | \"descr\" twice",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1} | the key \"x\"",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} 1 | after the dictionary",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), } | descr \"|O\"",
        "{'descr': '<c8', 'fortran_order': False, 'shape': (1,), } | descr \"<c8\", f8",
        "{'descr': '|f4', 'fortran_order': False, 'shape': (2,), } | descr \"|f4\"",
        "{'descr': '', 'fortran_order': False, 'shape': (2,), } | descr \"\"",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), } | no string",
        "{'descr': '<f4 | a string without an end",
        "['descr'] | no '{'",
      })
  void read_rejectsACorruptHeader(String line) {
    int bar = line.lastIndexOf(" | ");
    byte[] file = numpy(1, line.substring(0, bar), "AAAAAAAAAAA=");
    var e = assertThrows(CorruptFileException.class, () -> parse(file));
    assertMessage(e, "x.npy: ", "; need ");
    assertMessage(e, line.substring(bar + 3).split(", "));
  }

  @Test
  void read_rejectsALyingLead() throws IOException {
    byte[] magic = F4.clone();
    magic[0] = 'x';
    assertMessage(
        assertThrows(CorruptFileException.class, () -> parse(magic)), "x93NUMPY", "a .npy file");
    byte[] version = F4.clone();
    version[6] = 4;
    assertMessage(assertThrows(CorruptFileException.class, () -> parse(version)), "version 4");
    byte[] length = F4.clone();
    length[9] = 127;
    assertMessage(
        assertThrows(CorruptFileException.class, () -> parse(length)), "length of 32630", "142");
    byte[] huge = F4.clone();
    huge[6] = 2;
    huge[11] = (byte) 0xff;
    assertMessage(assertThrows(CorruptFileException.class, () -> parse(huge)), "header length");
    for (int cut = 0; cut < F4.length; cut++) {
      byte[] part = Arrays.copyOf(F4, cut);
      assertThrows(CorruptFileException.class, () -> parse(part), "cut to " + cut);
    }
  }

  /// Whatever the bytes, the answer is a tensor or a [CorruptFileException] of one line.
  @Test
  void anyMutationIsReadOrRefused() {
    var random = new SplittableRandom(5);
    String alphabet = "{}()[],:'\"<>|0123456789fFiubTrue -";
    int refused = 0;
    int read = 0;
    for (int round = 0; round < 20_000; round++) {
      byte[] bytes = F4.clone();
      for (int edit = 1 + random.nextInt(3); edit > 0; edit--) {
        int at = random.nextInt(random.nextBoolean() ? bytes.length : 70);
        bytes[at] =
            random.nextInt(3) == 0
                ? (byte) random.nextInt(256)
                : (byte) alphabet.charAt(random.nextInt(alphabet.length()));
      }
      try {
        HostTensor tensor = parse(bytes);
        assertEquals(tensor.byteSize(), tensor.bytes().byteSize());
        read++;
      } catch (CorruptFileException e) {
        assertMessage(e, "; need ");
        refused++;
      }
    }
    assertTrue(refused > 5_000, "refused " + refused);
    assertTrue(read > 500, "read " + read);
  }
}
