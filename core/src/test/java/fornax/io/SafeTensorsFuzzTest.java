package fornax.io;

import fornax.testkit.Fuzz;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

/// Any bytes are a safetensors file or a [CorruptFileException].
class SafeTensorsFuzzTest {
  static final Fuzz FUZZ =
      Fuzz.of("safetensors", SafeTensorsFuzzTest::read)
          .seed(file("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4))
          .seed(
              file(
                  "{\"__metadata__\":{\"format\":\"pt\"},"
                      + "\"x\":{\"dtype\":\"I64\",\"shape\":[2,0],\"data_offsets\":[0,0]},"
                      + "\"w.\\u00e9\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[0,12]},"
                      + "\"b\":{\"dtype\":\"BOOL\",\"shape\":[],\"data_offsets\":[12,13]},"
                      + "\"u\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[13,16]}}",
                  16))
          .words(
              "dtype", "shape", "data_offsets", "__metadata__", "F16", "F64", "I32", "U8", "BOOL");

  private static byte[] file(String header, int dataBytes) {
    byte[] text = header.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(Long.BYTES + text.length + dataBytes)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(text.length)
        .put(text)
        .array();
  }

  private static void read(byte[] input) throws IOException {
    try (var file = SafeTensors.read("x.safetensors", new ByteArrayInputStream(input))) {
      for (String tensor : file.names()) {
        double[] _ = file.doubles(tensor);
        switch (file.entry(tensor).dtype()) {
          case F16, BF16, F32, F64 -> {
            float[] _ = file.floats(tensor);
          }
          case I32, I64, U8, BOOL -> {
            int[] _ = file.ints(tensor);
          }
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
