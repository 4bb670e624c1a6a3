package fornax.io;

import fornax.array.Shape;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Collectors;

/// `.npy` files: one array each, the format of NumPy.
///
/// The layout is `"\x93NUMPY" | version: 2 bytes | headerBytes: u16 or u32 | header | data`; the
/// header is a Python dictionary of `descr`, `fortran_order` and `shape`. Versions 1, 2 and 3, both
/// byte orders, and C and Fortran order are read; what is written is little-endian in C order.
/// Source: numpy.lib.format.
public final class Npy {
  private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
  private static final int ALIGNMENT = 64; // of the data's first byte, as NumPy writes it
  private static final int MAX_HEADER_BYTES = 1 << 20;
  private static final int MAX_RANK = 64; // NumPy's own limit

  private Npy() {}

  /// Reads the array of `path`: its elements are copied in row-major order, little-endian.
  ///
  /// @throws CorruptFileException if the file breaks the format, or its dtype is not one of `f2`,
  ///   `f4`, `f8`, `i4`, `i8`, `u1`, `b1`
  /// @throws IOException if it is missing, a folder or may not be read
  public static HostTensor read(Path path) throws IOException {
    try (var arena = Arena.ofConfined()) {
      return parse(path, MappedFile.map(path, ".npy", arena));
    }
  }

  /// Writes `tensor` to `path`, replacing it as a whole ([AtomicFile]).
  ///
  /// @throws IllegalArgumentException if its dtype is `BF16`, which the format lacks
  /// @throws IOException if the file cannot be written; its old contents are then still there
  public static void write(Path path, HostTensor tensor) throws IOException {
    byte[] head = head(tensor);
    AtomicFile.replace(
        path,
        out -> {
          AtomicFile.writeFully(out, MemorySegment.ofArray(head));
          AtomicFile.writeFully(out, tensor.bytes());
        });
  }

  /// Reads the array out of the file's contents `file`.
  static HostTensor parse(Path path, MemorySegment file) throws CorruptFileException {
    long size = file.byteSize();
    int lead = MAGIC.length + 2;
    if (size < lead + Short.BYTES) {
      throw new CorruptFileException(
          path, null, size + " bytes", "at least " + (lead + Short.BYTES) + " for a .npy file");
    }
    if (file.asSlice(0, MAGIC.length).mismatch(MemorySegment.ofArray(MAGIC)) >= 0) {
      throw new CorruptFileException(
          path, null, "other bytes than \\x93NUMPY at the beginning", "a .npy file");
    }
    int version = Byte.toUnsignedInt(file.get(ValueLayout.JAVA_BYTE, MAGIC.length));
    if (version < 1 || version > 3) {
      throw new CorruptFileException(path, null, "version " + version, "version 1, 2 or 3");
    }
    int lengthBytes = version == 1 ? Short.BYTES : Integer.BYTES;
    if (size < lead + lengthBytes) {
      throw new CorruptFileException(
          path, null, size + " bytes", "at least " + (lead + lengthBytes));
    }
    long headerBytes =
        version == 1
            ? Short.toUnsignedLong(file.get(Elements.SHORT, lead))
            : Integer.toUnsignedLong(file.get(Elements.INT, lead));
    long dataBegin = lead + lengthBytes + headerBytes;
    if (headerBytes > MAX_HEADER_BYTES || dataBegin > size) {
      throw new CorruptFileException(
          path,
          null,
          "a header length of " + headerBytes + " in " + size + " bytes",
          "at most " + Math.min(MAX_HEADER_BYTES, size - lead - lengthBytes));
    }
    byte[] text = file.asSlice(lead + lengthBytes, headerBytes).toArray(ValueLayout.JAVA_BYTE);
    // Keys and values of ours are ASCII in every version; anything else fails as an unknown value.
    var header =
        new NpyHeaderReader(path, new String(text, StandardCharsets.ISO_8859_1)).read(MAX_RANK);
    return data(path, header, file.asSlice(dataBegin));
  }

  private static HostTensor data(Path path, NpyHeaderReader.Header header, MemorySegment data)
      throws CorruptFileException {
    FileDType dtype = header.dtype();
    long bytes = dtype.bytes();
    try {
      for (long dim : header.dims()) {
        bytes = Math.multiplyExact(bytes, dim);
      }
    } catch (ArithmeticException _) {
      throw new CorruptFileException(
          path, null, "a shape of more than 2^63 bytes", "one that fits the file");
    }
    Shape shape = Shape.of(header.dimsArray());
    if (data.byteSize() != bytes) {
      throw new CorruptFileException(
          path, null, data.byteSize() + " bytes of data", bytes + " for " + dtype + " " + shape);
    }
    MemorySegment out = Arena.ofAuto().allocate(bytes, Long.BYTES);
    if (header.fortranOrder() && shape.rank() > 1) {
      transpose(header, data, out);
    } else {
      MemorySegment.copy(data, 0, out, 0, bytes);
    }
    if (header.bigEndian()) {
      reverseBytes(out, dtype.bytes());
    }
    return HostTensor.of(dtype, shape, out.asReadOnly());
  }

  /// Column-major `data` to row-major `out`: walks `out` in order, with the place in `data` beside
  /// it.
  private static void transpose(
      NpyHeaderReader.Header header, MemorySegment data, MemorySegment out) {
    long[] dims = header.dimsArray();
    var strides = new long[dims.length]; // of data, in bytes
    long stride = header.dtype().bytes();
    for (int axis = 0; axis < dims.length; axis++) {
      strides[axis] = stride;
      stride *= dims[axis];
    }
    var index = new long[dims.length];
    long from = 0;
    int width = header.dtype().bytes();
    for (long to = 0; to < out.byteSize(); to += width) {
      MemorySegment.copy(data, from, out, to, width);
      for (int axis = dims.length - 1; axis >= 0; axis--) {
        index[axis]++;
        from += strides[axis];
        if (index[axis] < dims[axis]) {
          break;
        }
        from -= dims[axis] * strides[axis];
        index[axis] = 0;
      }
    }
  }

  private static void reverseBytes(MemorySegment out, int width) {
    for (long at = 0; at < out.byteSize(); at += width) {
      switch (width) {
        case 2 -> out.set(Elements.SHORT, at, Short.reverseBytes(out.get(Elements.SHORT, at)));
        case 4 -> out.set(Elements.INT, at, Integer.reverseBytes(out.get(Elements.INT, at)));
        default -> out.set(Elements.LONG, at, Long.reverseBytes(out.get(Elements.LONG, at)));
      }
    }
  }

  /// Everything before the data, byte for byte as NumPy writes it.
  private static byte[] head(HostTensor tensor) {
    String descr =
        switch (tensor.dtype()) {
          case F16 -> "<f2";
          case F32 -> "<f4";
          case F64 -> "<f8";
          case I32 -> "<i4";
          case I64 -> "<i8";
          case U8 -> "|u1";
          case BOOL -> "|b1";
          case BF16 ->
              throw new IllegalArgumentException(
                  "Npy.write: got BF16; need F16, F32, F64, I32, I64, U8 or BOOL; convert to F32");
        };
    long[] dims = tensor.shape().toArray();
    String list = Arrays.stream(dims).mapToObj(Long::toString).collect(Collectors.joining(", "));
    String header =
        "{'descr': '%s', 'fortran_order': False, 'shape': (%s%s), }"
            .formatted(descr, list, dims.length == 1 ? "," : "");
    if (dims.length > 0) { // NumPy leaves room for the first dimension to grow to 21 digits
      header += " ".repeat(Math.max(0, 21 - Long.toString(dims[0]).length()));
    }
    int lead = MAGIC.length + 2 + Short.BYTES;
    int used = lead + header.length() + 1;
    int total = (used / ALIGNMENT + 1) * ALIGNMENT; // NumPy pads by 1 to 64, never by 0
    var out = new byte[total];
    Arrays.fill(out, lead, total, (byte) ' ');
    System.arraycopy(MAGIC, 0, out, 0, MAGIC.length);
    out[MAGIC.length] = 1;
    MemorySegment.ofArray(out).set(Elements.SHORT, MAGIC.length + 2, (short) (total - lead));
    byte[] text = header.getBytes(StandardCharsets.US_ASCII);
    System.arraycopy(text, 0, out, lead, text.length);
    out[total - 1] = '\n';
    return out;
  }
}
