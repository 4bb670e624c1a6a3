package fornax.io;

import fornax.array.Shape;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Reads a TensorProto of an [OnnxFile], whose values stand in its `raw_data` (or, for F32, in
/// `float_data`, which has the same bytes).
final class OnnxTensor {
  private static final int MAX_RANK = 64;

  private final Path path;
  private final List<Long> dims = new ArrayList<>();
  private String name = "";
  private long type;
  private @Nullable MemorySegment values;

  OnnxTensor(Path path) {
    this.path = path;
  }

  /// What stands in the message, once [#read] has been called.
  String name() {
    return name;
  }

  /// The tensor in `message`.
  HostTensor read(ProtobufReader message) throws CorruptFileException {
    boolean elsewhere = false;
    while (message.next()) {
      switch (message.field()) {
        case 1 -> readDims(message);
        case 2 -> type = message.number();
        case 4, 9 -> values = message.bytes(); // float_data, packed; raw_data
        case 8 -> name = message.string();
        case 14 -> elsewhere = message.number() != 0;
        default -> message.skip();
      }
    }
    if (elsewhere) {
      throw corrupt("its values are in another file", "a model in one file");
    }
    FileDType dtype = dtype();
    Shape shape = shape();
    MemorySegment found = values == null ? MemorySegment.NULL : values;
    long bytes;
    try {
      bytes = Math.multiplyExact(shape.elements(), (long) dtype.bytes());
    } catch (ArithmeticException _) {
      throw corrupt("its shape " + shape, "fewer elements");
    }
    if (found.byteSize() != bytes) {
      throw corrupt(found.byteSize() + " bytes of values", bytes + " for " + dtype + " " + shape);
    }
    return HostTensor.of(dtype, shape, found);
  }

  private void readDims(ProtobufReader message) throws CorruptFileException {
    if (message.isDelimited()) {
      ProtobufReader packed = message.message();
      while (packed.hasMore()) {
        dims.add(packed.varint());
      }
    } else {
      dims.add(message.number());
    }
  }

  private Shape shape() throws CorruptFileException {
    if (dims.size() > MAX_RANK || dims.stream().anyMatch(dim -> dim < 0)) {
      List<Long> first = dims.subList(0, Math.min(MAX_RANK, dims.size()));
      throw corrupt("the shape " + first, "at most " + MAX_RANK + " sizes of at least 0");
    }
    try {
      return Shape.of(dims.stream().mapToLong(Long::longValue).toArray());
    } catch (ArithmeticException | IllegalArgumentException _) {
      throw corrupt("the shape " + dims, "fewer elements");
    }
  }

  // The numbers of TensorProto.DataType.
  private FileDType dtype() throws CorruptFileException {
    return switch ((int) type) {
      case 1 -> FileDType.F32;
      case 2 -> FileDType.U8;
      case 6 -> FileDType.I32;
      case 7 -> FileDType.I64;
      case 9 -> FileDType.BOOL;
      case 10 -> FileDType.F16;
      case 11 -> FileDType.F64;
      case 16 -> FileDType.BF16;
      default -> throw corrupt("the data type " + type, FileDType.list());
    };
  }

  private CorruptFileException corrupt(String found, String need) {
    return new CorruptFileException(path, name, found, need);
  }
}
