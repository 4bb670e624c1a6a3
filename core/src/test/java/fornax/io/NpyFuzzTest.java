package fornax.io;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import fornax.testkit.Fuzz;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/// Any bytes are a `.npy` file or a [CorruptFileException].
class NpyFuzzTest {
  static final Fuzz FUZZ =
      Fuzz.of("npy", NpyFuzzTest::read)
          .seed(file(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }\n", 8))
          .seed(file(2, "{'descr': '>i8', 'fortran_order': True, 'shape': (2, 3), }\n", 48))
          .seed(file(3, "{'descr': '|b1', 'fortran_order': True, 'shape': (), }\n", 1))
          .seed(file(1, "{'descr': '<f8', 'fortran_order': True, 'shape': (0, 7, 2), }\n", 0))
          .words("descr", "fortran_order", "shape", "True", "False", "<f2", ">f8", "|u1", "(1,)");

  private static byte[] file(int version, String header, int dataBytes) {
    int length = header.length();
    String lead = "\u0093NUMPY" + (char) version + "\0" + (char) length + "\0";
    return (lead + (version > 1 ? "\0\0" : "") + header + "\0".repeat(dataBytes))
        .getBytes(ISO_8859_1);
  }

  private static void read(byte[] input) throws IOException {
    HostTensor tensor = Npy.parse(Path.of("x.npy"), MemorySegment.ofArray(input));
    double[] _ = tensor.doubles();
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
