package fornax.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Reads what was written by the formats' definitions: TFRecords, CRC-32C bit by bit, protobuf.
class TensorBoardLogTest {
  private static final Clock NOON =
      Clock.fixed(Instant.parse("2026-01-02T12:00:00.250Z"), ZoneOffset.UTC);

  @TempDir Path folder;

  // Bit by bit, with the reflected polynomial of Castagnoli.
  private static int crc32c(byte[] bytes) {
    int crc = -1;
    for (byte b : bytes) {
      crc ^= b & 0xff;
      for (int bit = 0; bit < 8; bit++) {
        crc = (crc >>> 1) ^ ((crc & 1) == 1 ? 0x82f63b78 : 0);
      }
    }
    return ~crc;
  }

  private static int masked(byte[] bytes) {
    int crc = crc32c(bytes);
    return (crc >>> 15 | crc << 17) + 0xa282ead8;
  }

  private static List<ByteBuffer> records(byte[] file) {
    List<ByteBuffer> records = new ArrayList<>();
    ByteBuffer in = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    while (in.hasRemaining()) {
      byte[] length = new byte[8];
      in.get(length);
      assertEquals(masked(length), in.getInt());
      byte[] data =
          new byte[(int) ByteBuffer.wrap(length).order(ByteOrder.LITTLE_ENDIAN).getLong()];
      in.get(data);
      assertEquals(masked(data), in.getInt());
      records.add(ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN));
    }
    return records;
  }

  private static long varint(ByteBuffer in) {
    long value = 0;
    for (int shift = 0; ; shift += 7) {
      byte b = in.get();
      value |= (long) (b & 0x7f) << shift;
      if (b >= 0) {
        return value;
      }
    }
  }

  // The fields of a message by number; of one that is repeated, a list.
  private static Map<Integer, List<Object>> fields(ByteBuffer in) {
    Map<Integer, List<Object>> fields = new LinkedHashMap<>();
    while (in.hasRemaining()) {
      long key = varint(in);
      Object value =
          switch ((int) (key & 7)) {
            case 0 -> varint(in);
            case 1 -> in.getDouble();
            case 5 -> in.getFloat();
            case 2 -> {
              byte[] bytes = new byte[(int) varint(in)];
              in.get(bytes);
              yield bytes;
            }
            default -> throw new AssertionError("wire type of key " + key);
          };
      fields.computeIfAbsent((int) (key >>> 3), _ -> new ArrayList<>()).add(value);
    }
    return fields;
  }

  private static Map<Integer, List<Object>> fields(Object message) {
    return fields(ByteBuffer.wrap((byte[]) message).order(ByteOrder.LITTLE_ENDIAN));
  }

  // Those of the fields with the number `number`.
  private static List<Object> all(Map<Integer, List<Object>> message, int number) {
    return message.getOrDefault(number, List.of());
  }

  private static Object first(Map<Integer, List<Object>> message, int number) {
    return all(message, number).getFirst();
  }

  private static String text(Object bytes) {
    return new String((byte[]) bytes, StandardCharsets.UTF_8);
  }

  private byte[] onlyFile() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return Files.readAllBytes(files.toList().getFirst());
    }
  }

  @Test
  void whatIsWritten_isReadBack() throws IOException {
    Map<String, Double> values = new LinkedHashMap<>();
    values.put("loss", 4.25);
    values.put("learningRate", 1e-3);
    try (var log = TensorBoardLog.start(folder, 7, NOON)) {
      log.write(300, values);
    }
    List<ByteBuffer> records = records(onlyFile());
    assertEquals(3, records.size());
    Map<Integer, List<Object>> version = fields(records.get(0));
    assertEquals(1767355200.25, first(version, 1));
    assertEquals("brain.Event:2", text(first(version, 3)));
    Map<Integer, List<Object>> start = fields(records.get(1));
    assertEquals(7L, first(start, 2));
    assertEquals(Map.of(1, List.of(1L)), fields(first(start, 7)));
    Map<Integer, List<Object>> event = fields(records.get(2));
    assertEquals(300L, first(event, 2));
    List<Object> summary = all(fields(first(event, 5)), 1);
    assertEquals(2, summary.size());
    assertEquals("loss", text(first(fields(summary.get(0)), 1)));
    assertEquals(4.25f, first(fields(summary.get(0)), 2));
    assertEquals("learningRate", text(first(fields(summary.get(1)), 1)));
    assertEquals(1e-3f, first(fields(summary.get(1)), 2));
  }

  @Test
  void crc_isCastagnolis() {
    assertEquals(0xe3069283, crc32c("123456789".getBytes(StandardCharsets.US_ASCII)));
  }

  @Test
  void aSecondStart_leavesTheFirstFileAlone() throws IOException {
    for (int i = 0; i < 2; i++) {
      try (var log = TensorBoardLog.start(folder, 1, NOON)) {
        log.write(i, Map.of("loss", 1.0));
      }
    }
    try (Stream<Path> files = Files.list(folder)) {
      List<String> names = files.map(file -> file.getFileName().toString()).sorted().toList();
      assertEquals(2, names.size());
      assertTrue(names.getFirst().startsWith("events.out.tfevents.1767355200"), names::toString);
    }
  }
}
