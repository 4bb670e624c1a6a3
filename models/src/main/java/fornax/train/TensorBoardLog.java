package fornax.train;

import com.google.errorprone.annotations.CanIgnoreReturnValue;
import com.google.errorprone.annotations.MustBeClosed;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.util.Locale;
import java.util.Map;
import java.util.zip.CRC32C;

/// A file of events for TensorBoard: curves of numbers over steps.
///
/// The file is a row of TFRecords: the length of the data (8 bytes, little-endian), its masked
/// CRC-32C, the data, and theirs. The data are `Event` messages in protobuf's wire format. Sources:
/// tensorflow/core/lib/io/record_writer.cc; tensorflow/core/util/event.proto.
public final class TensorBoardLog implements AutoCloseable {
  private static final int MASK_DELTA = 0xa282ead8; // tensorflow/core/lib/hash/crc32c.h
  private static final int VARINT = 0; // protobuf's wire types
  private static final int FIXED64 = 1;
  private static final int LENGTH = 2;
  private static final int FIXED32 = 5;

  private final Path path;
  private final FileChannel file;
  private final Clock clock;

  private TensorBoardLog(Path path, FileChannel file, Clock clock) {
    this.path = path;
    this.file = file;
    this.clock = clock;
  }

  /// Begins a new file in `folder`, which is made where it is missing. What earlier files there say
  /// of `step` and later ones is void.
  ///
  /// @throws IOException if it cannot be written
  @MustBeClosed
  public static TensorBoardLog start(Path folder, int step) throws IOException {
    return start(folder, step, Clock.systemUTC());
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the channel closes with the result
  static TensorBoardLog start(Path folder, int step, Clock clock) throws IOException {
    Path _ = Files.createDirectories(folder);
    long seconds = clock.millis() / 1000;
    Path path =
        folder.resolve(String.format(Locale.ROOT, "events.out.tfevents.%010d.fornax", seconds));
    for (int number = 1; Files.exists(path); number++) {
      path = folder.resolve(path.getFileName() + "." + number);
    }
    FileChannel channel =
        FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    var log = new TensorBoardLog(path, channel, clock);
    try {
      log.record(new Message().number(1, log.seconds()).bytes(3, utf8("brain.Event:2")));
      var start = new Message().varint(1, 1); // SessionLog.status = START
      log.record(
          new Message().number(1, log.seconds()).varint(2, step).bytes(7, start.toByteArray()));
      return log;
    } catch (Throwable e) {
      channel.close();
      throw e;
    }
  }

  /// Writes the values of `step` by the names of their curves; they are in the file when this
  /// returns.
  ///
  /// @throws IOException if it cannot be written
  public void write(int step, Map<String, Double> values) throws IOException {
    var summary = new Message();
    values.forEach(
        (tag, value) ->
            summary.bytes(
                1, new Message().bytes(1, utf8(tag)).single(2, value.floatValue()).toByteArray()));
    record(new Message().number(1, seconds()).varint(2, step).bytes(5, summary.toByteArray()));
  }

  private double seconds() {
    return clock.millis() / 1e3;
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private void record(Message event) throws IOException {
    byte[] data = event.toByteArray();
    ByteBuffer record =
        ByteBuffer.allocate(data.length + 16).order(ByteOrder.LITTLE_ENDIAN).putLong(data.length);
    record
        .putInt(maskedCrc(record.array(), 8))
        .put(data)
        .putInt(maskedCrc(data, data.length))
        .flip();
    try {
      while (record.hasRemaining()) {
        int _ = file.write(record);
      }
    } catch (ClosedChannelException e) {
      throw e;
    } catch (IOException e) { // of a full disk, which names no file
      var named =
          new FileSystemException(path.toString(), null, "cannot be written: " + e.getMessage());
      named.initCause(e);
      throw named;
    }
  }

  private static int maskedCrc(byte[] bytes, int length) {
    var crc = new CRC32C();
    crc.update(bytes, 0, length);
    return Integer.rotateRight((int) crc.getValue(), 15) + MASK_DELTA;
  }

  @Override
  public void close() throws IOException {
    file.close();
  }

  /// A protobuf message under way.
  private static final class Message {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    private void key(int field, int type) {
      varint((long) field << 3 | type);
    }

    private void varint(long value) {
      long left = value;
      while ((left & ~0x7fL) != 0) {
        out.write((int) (left & 0x7f | 0x80));
        left >>>= 7;
      }
      out.write((int) left);
    }

    private void fixed(long bits, int bytes) {
      for (int i = 0; i < bytes; i++) {
        out.write((int) (bits >>> 8 * i));
      }
    }

    @CanIgnoreReturnValue
    Message varint(int field, long value) {
      key(field, VARINT);
      varint(value);
      return this;
    }

    @CanIgnoreReturnValue
    Message number(int field, double value) {
      key(field, FIXED64);
      fixed(Double.doubleToRawLongBits(value), 8);
      return this;
    }

    @CanIgnoreReturnValue
    Message single(int field, float value) {
      key(field, FIXED32);
      fixed(Float.floatToRawIntBits(value), 4);
      return this;
    }

    @CanIgnoreReturnValue
    Message bytes(int field, byte[] value) {
      key(field, LENGTH);
      varint(value.length);
      out.writeBytes(value);
      return this;
    }

    byte[] toByteArray() {
      return out.toByteArray();
    }
  }
}
