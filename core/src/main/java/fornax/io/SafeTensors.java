package fornax.io;

import com.google.errorprone.annotations.MustBeClosed;
import fornax.array.Shape;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.CharBuffer;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeMap;

/// A `.safetensors` file: named tensors and string metadata.
///
/// The layout is `headerBytes: u64 | header: JSON, padded with spaces | data`, all little-endian;
/// the header maps each name to `{"dtype", "shape", "data_offsets": [begin, end]}` and
/// `__metadata__` to strings. Reading maps the file into memory and copies nothing; [#open] checks
/// all of the header against the file before it returns, so that a corrupt file gives a
/// [CorruptFileException] there and costs no more memory than its header. The file must not be cut
/// short while it is open.
///
/// ```java
/// try (var file = SafeTensors.open(path)) {
///   float[] weights = file.floats("wte.weight");
/// }
/// ```
///
/// Source: the format's README, github.com/huggingface/safetensors.
public final class SafeTensors implements AutoCloseable {
  /// The longest header allowed, the limit of the reference implementation.
  static final long MAX_HEADER_BYTES = 100_000_000;

  private static final String METADATA = "__metadata__";
  private static final int MAX_RANK = 64;

  private final Path path;
  private final Arena arena;
  private final SequencedMap<String, HostTensor> tensors;
  private final SequencedMap<String, String> metadata;

  private SafeTensors(
      Path path,
      Arena arena,
      SequencedMap<String, HostTensor> tensors,
      SequencedMap<String, String> metadata) {
    this.path = path;
    this.arena = arena;
    this.tensors = tensors;
    this.metadata = metadata;
  }

  /// Maps `path` and checks it. Closing the result unmaps it: segments taken from it then throw
  /// [IllegalStateException].
  ///
  /// @throws CorruptFileException if the file breaks the format
  /// @throws IOException if it is missing, a folder or may not be read
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the arena closes with the result
  public static SafeTensors open(Path path) throws IOException {
    Arena arena = Arena.ofShared();
    try {
      return parse(path, MappedFile.map(path, ".safetensors", arena), arena);
    } catch (Throwable e) {
      arena.close();
      throw e;
    }
  }

  /// Reads all of `in` into memory and checks it: for a file inside a jar, which cannot be mapped.
  /// `name` is what messages call it.
  ///
  /// @throws CorruptFileException if the contents break the format
  /// @throws IOException if `in` cannot be read
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the arena closes with the result
  public static SafeTensors read(String name, InputStream in) throws IOException {
    byte[] bytes = in.readAllBytes();
    Arena arena = Arena.ofShared();
    try {
      MemorySegment copy = arena.allocate(bytes.length, Long.BYTES);
      MemorySegment.copy(bytes, 0, copy, ValueLayout.JAVA_BYTE, 0, bytes.length);
      return parse(Path.of(name), copy.asReadOnly(), arena);
    } catch (Throwable e) {
      arena.close();
      throw e;
    }
  }

  /// Checks the file's contents `file` and indexes them.
  static SafeTensors parse(Path path, MemorySegment file, Arena arena) throws CorruptFileException {
    Json.Members header = header(path, file);
    long headerBytes = file.get(Elements.LONG, 0);
    MemorySegment data = file.asSlice(Long.BYTES + headerBytes);
    SequencedMap<String, HostTensor> tensors = new LinkedHashMap<>();
    SequencedMap<String, String> metadata = new LinkedHashMap<>();
    List<Extent> extents = new ArrayList<>();
    for (Map.Entry<String, Json> member : header.values().entrySet()) {
      String name = member.getKey();
      if (name.equals(METADATA)) {
        readMetadata(path, member.getValue(), metadata);
      } else {
        var entry = new EntryReader(path, name);
        Extent extent = entry.read(member.getValue(), data);
        extents.add(extent);
        tensors.put(name, extent.tensor());
      }
    }
    requireNoGaps(path, extents, data.byteSize());
    return new SafeTensors(path, arena, tensors, metadata);
  }

  /// The tensors' names, in the order of the header.
  public List<String> names() {
    return List.copyOf(tensors.keySet());
  }

  /// The metadata, in the order of the header; empty where there is none.
  public SequencedMap<String, String> metadata() {
    return Collections.unmodifiableSequencedMap(metadata);
  }

  /// Whether there is a tensor of this name.
  public boolean contains(String name) {
    return tensors.containsKey(name);
  }

  /// The tensor `name`: dtype, shape, and a read-only segment of the mapped file, valid until this
  /// is closed and aligned only as the file aligns it.
  ///
  /// @throws CorruptFileException if the file has no such tensor
  public HostTensor entry(String name) throws CorruptFileException {
    HostTensor tensor = tensors.get(name);
    if (tensor == null) {
      throw new CorruptFileException(
          path,
          name,
          "not in the file",
          "one of its " + tensors.size() + " tensors: " + someNames());
    }
    return tensor;
  }

  /// The values of `name` as [HostTensor#floats] converts them.
  ///
  /// @throws ConversionException if a value does not fit
  /// @throws CorruptFileException if the file has no such tensor
  public float[] floats(String name) throws IOException {
    return Elements.floats(entry(name), label(name));
  }

  /// The values of `name` as [HostTensor#doubles] converts them.
  ///
  /// @throws ConversionException if a value does not fit
  /// @throws CorruptFileException if the file has no such tensor
  public double[] doubles(String name) throws IOException {
    return Elements.doubles(entry(name), label(name));
  }

  /// The values of `name` as [HostTensor#ints] converts them.
  ///
  /// @throws ConversionException if a value does not fit, or the dtype is a floating-point type
  /// @throws CorruptFileException if the file has no such tensor
  public int[] ints(String name) throws IOException {
    return Elements.ints(entry(name), label(name));
  }

  /// Unmaps the file.
  @Override
  public void close() {
    arena.close();
  }

  /// Writes `tensors` and `metadata` to `path`, replacing it as a whole ([AtomicFile]). Each
  /// tensor's source is asked for its bytes when its turn comes. The bytes of the file depend on
  /// the arguments alone: tensors stand in the order of falling element size, then of their names,
  /// so that each is aligned; metadata keep the order of a [SequencedMap] and are sorted otherwise.
  ///
  /// @throws IllegalArgumentException if a tensor is called `__metadata__`, or a name holds an
  ///   unpaired surrogate
  /// @throws IOException if the file cannot be written; its old contents are then still there
  public static void write(Path path, Map<String, HostTensor> tensors, Map<String, String> metadata)
      throws IOException {
    List<Map.Entry<String, HostTensor>> order = new ArrayList<>(tensors.entrySet());
    order.sort(
        Comparator.comparingInt(
                (Map.Entry<String, HostTensor> entry) -> -entry.getValue().dtype().bytes())
            .thenComparing(Map.Entry::getKey));
    byte[] header = headerOf(order, metadata);
    AtomicFile.replace(
        path,
        out -> {
          var length = MemorySegment.ofArray(new byte[Long.BYTES]);
          length.set(Elements.LONG, 0, header.length);
          AtomicFile.writeFully(out, length);
          AtomicFile.writeFully(out, MemorySegment.ofArray(header));
          for (Map.Entry<String, HostTensor> entry : order) {
            MemorySegment bytes = entry.getValue().bytes();
            AtomicFile.writeFully(out, bytes);
            if (bytes.isMapped()) { // of a file that is copied: its pages are not needed again
              bytes.unload();
            }
          }
        });
  }

  private static byte[] headerOf(
      List<Map.Entry<String, HostTensor>> order, Map<String, String> metadata) {
    var text = new StringBuilder("{");
    if (!metadata.isEmpty()) {
      write(text, METADATA);
      text.append(":{");
      Map<String, String> ordered =
          metadata instanceof SequencedMap ? metadata : new TreeMap<>(metadata);
      for (Map.Entry<String, String> entry : ordered.entrySet()) {
        comma(text);
        write(text, entry.getKey());
        text.append(':');
        write(text, entry.getValue());
      }
      text.append('}');
    }
    long at = 0;
    for (Map.Entry<String, HostTensor> entry : order) {
      if (entry.getKey().equals(METADATA)) {
        throw new IllegalArgumentException(
            "SafeTensors.write: got a tensor called " + METADATA + "; need another name");
      }
      HostTensor tensor = entry.getValue();
      long end = Math.addExact(at, tensor.byteSize());
      comma(text);
      write(text, entry.getKey());
      text.append(":{\"dtype\":\"").append(tensor.dtype()).append("\",\"shape\":[");
      for (long dim : tensor.shape().toArray()) {
        comma(text);
        text.append(dim);
      }
      text.append("],\"data_offsets\":[").append(at).append(',').append(end).append("]}");
      at = end;
    }
    text.append('}');
    text.repeat(' ', -text.length() & 7); // the data begins at a multiple of 8
    if (text.length() > MAX_HEADER_BYTES) {
      throw new IllegalArgumentException(
          "SafeTensors.write: got a header of "
              + text.length()
              + " bytes; need at most "
              + MAX_HEADER_BYTES);
    }
    return text.toString().getBytes(StandardCharsets.US_ASCII);
  }

  private static void comma(StringBuilder text) {
    char last = text.charAt(text.length() - 1);
    if (last != '{' && last != '[') {
      text.append(',');
    }
  }

  private static void write(StringBuilder out, String text) {
    if (!StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
      throw new IllegalArgumentException(
          "SafeTensors.write: got the name " + Json.quote(text) + "; need no unpaired surrogates");
    }
    Json.write(out, text);
  }

  private static Json.Members header(Path path, MemorySegment file) throws CorruptFileException {
    long size = file.byteSize();
    if (size < Long.BYTES + 2) {
      throw new CorruptFileException(
          path, null, size + " bytes", "at least 10: a header length and a header");
    }
    long headerBytes = file.get(Elements.LONG, 0);
    long most = Math.min(size - Long.BYTES, MAX_HEADER_BYTES);
    if (headerBytes < 2 || headerBytes > most) {
      throw new CorruptFileException(
          path,
          null,
          "a header length of " + Long.toUnsignedString(headerBytes) + " in " + size + " bytes",
          "2 to " + most + "; is it a .safetensors file, and whole?");
    }
    String text = decode(path, file.asSlice(Long.BYTES, headerBytes));
    if (text.charAt(0) != '{') {
      throw new CorruptFileException(
          path, null, "a header that begins with " + Json.quote(text.substring(0, 1)), "\"{\"");
    }
    try {
      if (JsonReader.read(text) instanceof Json.Members members) {
        return members;
      }
    } catch (JsonReader.SyntaxException e) {
      throw new CorruptFileException(
          path, null, "the header is not valid JSON: " + e.reason(), "a JSON object");
    }
    throw new CorruptFileException(path, null, "a header that is no object", "a JSON object");
  }

  private static String decode(Path path, MemorySegment bytes) throws CorruptFileException {
    var in = bytes.asByteBuffer();
    var out = CharBuffer.allocate(Math.toIntExact(bytes.byteSize()));
    CoderResult result = StandardCharsets.UTF_8.newDecoder().decode(in, out, true);
    if (result.isError()) {
      throw new CorruptFileException(
          path,
          null,
          "a header that is not UTF-8 at byte " + (Long.BYTES + in.position()),
          "JSON in UTF-8");
    }
    return out.flip().toString();
  }

  private static void readMetadata(Path path, Json value, Map<String, String> metadata)
      throws CorruptFileException {
    if (!(value instanceof Json.Members members)) {
      throw new CorruptFileException(
          path, null, METADATA + " is " + value.describe(), "an object of strings");
    }
    for (Map.Entry<String, Json> entry : members.values().entrySet()) {
      if (!(entry.getValue() instanceof Json.Text text)) {
        throw new CorruptFileException(
            path,
            null,
            METADATA + " " + Json.quote(entry.getKey()) + " is " + entry.getValue().describe(),
            "a string");
      }
      metadata.put(entry.getKey(), text.value());
    }
  }

  /// A tensor and the bytes of the data it covers.
  private record Extent(String name, long begin, long end, HostTensor tensor) {}

  /// The data must be covered without gaps and overlaps, from its first byte to its last.
  private static void requireNoGaps(Path path, List<Extent> extents, long dataBytes)
      throws CorruptFileException {
    extents.sort(Comparator.comparingLong(Extent::begin).thenComparingLong(Extent::end));
    long at = 0;
    for (Extent extent : extents) {
      if (extent.begin() != at) {
        throw new CorruptFileException(
            path,
            extent.name(),
            "begins at byte "
                + extent.begin()
                + " of the data, "
                + (extent.begin() < at ? "inside the tensor before it" : "after a gap"),
            "byte " + at);
      }
      at = extent.end();
    }
    if (at != dataBytes) {
      throw new CorruptFileException(
          path, null, dataBytes + " bytes of data", at + ", the end of the last tensor");
    }
  }

  /// Reads one tensor's member of the header.
  private record EntryReader(Path path, String name) {
    Extent read(Json value, MemorySegment data) throws CorruptFileException {
      if (!(value instanceof Json.Members members)) {
        throw corrupt("is " + value.describe(), "an object of dtype, shape and data_offsets");
      }
      FileDType dtype = dtype(field(members, "dtype"));
      long[] dims = integers(members, "shape");
      if (dims.length > MAX_RANK) {
        throw corrupt("a rank of " + dims.length, "at most " + MAX_RANK);
      }
      long bytes = byteSize(dtype, dims);
      long[] offsets = integers(members, "data_offsets");
      if (offsets.length != 2) {
        throw corrupt(offsets.length + " data_offsets", "2, begin and end");
      }
      long begin = offsets[0];
      long end = offsets[1];
      if (begin > end || end > data.byteSize()) {
        throw corrupt(
            "data_offsets [" + begin + ", " + end + "]",
            "begin ≤ end ≤ " + data.byteSize() + ", the bytes of data in the file");
      }
      Shape shape = Shape.of(dims);
      if (end - begin != bytes) {
        throw corrupt(
            "data_offsets [" + begin + ", " + end + "], " + (end - begin) + " bytes",
            bytes + " bytes for " + dtype + " " + shape);
      }
      return new Extent(
          name, begin, end, HostTensor.of(dtype, shape, data.asSlice(begin, end - begin)));
    }

    private FileDType dtype(Json value) throws CorruptFileException {
      FileDType dtype = value instanceof Json.Text text ? FileDType.find(text.value()) : null;
      if (dtype == null) {
        throw corrupt("dtype is " + value.describe(), "one of " + FileDType.list());
      }
      return dtype;
    }

    private long byteSize(FileDType dtype, long[] dims) throws CorruptFileException {
      try {
        long bytes = dtype.bytes();
        for (long dim : dims) {
          bytes = Math.multiplyExact(bytes, dim);
        }
        return bytes;
      } catch (ArithmeticException _) {
        throw corrupt("a shape of more than 2^63 bytes", "one that fits the file");
      }
    }

    private long[] integers(Json.Members members, String key) throws CorruptFileException {
      Json value = field(members, key);
      if (!(value instanceof Json.Items items)) {
        throw corrupt(key + " is " + value.describe(), "an array of integers");
      }
      var out = new long[items.values().size()];
      for (int i = 0; i < out.length; i++) {
        out[i] = integer(key, items.values().get(i));
      }
      return out;
    }

    private long integer(String key, Json value) throws CorruptFileException {
      if (value instanceof Json.Literal literal && literal.digits().matches("[0-9]{1,18}")) {
        return Long.parseLong(literal.digits());
      }
      throw corrupt(key + " holds " + value.describe(), "integers of 0 to 10^18 − 1");
    }

    private Json field(Json.Members members, String key) throws CorruptFileException {
      Json value = members.values().get(key);
      if (value == null) {
        throw corrupt("no " + key, "dtype, shape and data_offsets");
      }
      return value;
    }

    private CorruptFileException corrupt(String found, String need) {
      return new CorruptFileException(path, name, found, need);
    }
  }

  private String label(String name) {
    return path + ": tensor " + Json.quote(name);
  }

  private String someNames() {
    List<String> shown = tensors.keySet().stream().limit(5).map(Json::quote).toList();
    return String.join(", ", shown) + (tensors.size() > shown.size() ? ", ..." : "");
  }
}
