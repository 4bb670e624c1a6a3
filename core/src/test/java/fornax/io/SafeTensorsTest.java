package fornax.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import fornax.array.Shape;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SafeTensorsTest {
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  @TempDir Path folder;

  static Path golden(String name) {
    var url = Objects.requireNonNull(SafeTensors.class.getResource("/fornax/conformance/" + name));
    try {
      return Path.of(url.toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "ops_golden.safetensors, 1908600",
    "tiny_gpt2.safetensors, 253800",
    "tiny_gpt2_golden.safetensors, 2434380"
  })
  void everyGoldenTensorIsReadAndWrittenBackToTheSameBytes(String name, long size)
      throws IOException {
    Path copy = folder.resolve("copy.safetensors");
    try (var file = SafeTensors.open(golden(name))) {
      assertEquals("1.13.0a0", file.metadata().get("torch"));
      Map<String, HostTensor> tensors = new LinkedHashMap<>();
      for (String tensor : file.names()) {
        HostTensor entry = file.entry(tensor);
        assertEquals(entry.shape().elements(), file.doubles(tensor).length, tensor);
        if (entry.dtype() == FileDType.I64) {
          assertEquals(entry.shape().elements(), file.ints(tensor).length, tensor);
        } else {
          assertEquals(entry.shape().elements(), file.floats(tensor).length, tensor);
        }
        tensors.put(tensor, entry);
      }
      assertFalse(tensors.isEmpty());
      SafeTensors.write(copy, tensors, file.metadata());
    }
    assertEquals(size, Files.size(copy));
    assertEquals(-1, Files.mismatch(golden(name), copy));
  }

  @Test
  void goldenValuesAreThoseOfTheGenerator() throws IOException {
    try (var file = SafeTensors.open(golden("tiny_gpt2_golden.safetensors"));
        var weights = SafeTensors.open(golden("tiny_gpt2.safetensors"))) {
      assertEquals(Shape.of(4, 29, 97), file.entry("f64.logits").shape());
      assertEquals(Shape.of(), file.entry("f64.loss").shape());
      double[] losses = file.doubles("f64.losses");
      assertEquals(10, losses.length);
      assertEquals(file.doubles("f64.loss")[0], losses[0]);
      assertEquals(losses[0], file.doubles("f32.losses")[0], 1e-6);
      for (int token : file.ints("inputs.0")) {
        assertTrue(token >= 0 && token < 97);
      }
      assertEquals("gelu_new (tanh)", weights.metadata().get("activation"));
      assertEquals(Shape.of(97, 48), weights.entry("wte.weight").shape());
      assertEquals(Shape.of(48, 144), weights.entry("h.0.attn.c_attn.weight").shape());
    }
  }

  @Test
  void everyDTypeMakesTheRoundTrip() throws IOException {
    Path path = folder.resolve("all.safetensors");
    float[] floats = {0f, -0f, 1.5f, -2f, Float.POSITIVE_INFINITY, Float.NaN};
    Map<String, HostTensor> tensors = new LinkedHashMap<>();
    Shape shape = Shape.of(2, 3);
    for (FileDType dtype : List.of(FileDType.F16, FileDType.BF16, FileDType.F32, FileDType.F64)) {
      tensors.put(dtype.name(), HostTensor.ofFloats(dtype, shape, floats));
    }
    int[] ints = {0, 1, 1, 0, 1, 1};
    for (FileDType dtype : List.of(FileDType.I32, FileDType.I64, FileDType.U8, FileDType.BOOL)) {
      tensors.put(dtype.name(), HostTensor.ofInts(dtype, shape, ints));
    }
    tensors.put("empty", HostTensor.ofFloats(FileDType.F32, Shape.of(3, 0)));
    tensors.put("scalar", HostTensor.ofDoubles(Shape.of(), Math.PI));
    tensors.put("long", HostTensor.ofLongs(Shape.of(2), Long.MIN_VALUE, Long.MAX_VALUE));
    tensors.put("größe \"\n\uD83D\uDE00", HostTensor.ofInts(FileDType.U8, Shape.of(1), 255));
    SafeTensors.write(path, tensors, Map.of("b", "zwei\t", "a", "eins"));
    try (var file = SafeTensors.open(path)) {
      assertEquals(tensors.keySet(), Set.copyOf(file.names()));
      assertEquals(List.of("a", "b"), List.copyOf(file.metadata().keySet()));
      assertEquals("zwei\t", file.metadata().get("b"));
      for (Map.Entry<String, HostTensor> entry : tensors.entrySet()) {
        HostTensor read = file.entry(entry.getKey());
        assertEquals(entry.getValue().dtype(), read.dtype());
        assertEquals(entry.getValue().shape(), read.shape());
        assertEquals(-1, entry.getValue().bytes().mismatch(read.bytes()), entry.getKey());
      }
      for (String name : List.of("F16", "BF16", "F32", "F64")) {
        assertArrayEquals(floats, file.floats(name), name);
        assertEquals(Double.POSITIVE_INFINITY, file.doubles(name)[4]);
      }
      for (String name : List.of("I32", "I64", "U8", "BOOL")) {
        assertArrayEquals(ints, file.ints(name), name);
        assertArrayEquals(new float[] {0, 1, 1, 0, 1, 1}, file.floats(name), name);
        assertArrayEquals(new double[] {0, 1, 1, 0, 1, 1}, file.doubles(name), name);
      }
      assertArrayEquals(new int[] {255}, file.ints("größe \"\n\uD83D\uDE00"));
      assertEquals(0, file.floats("empty").length);
    }
  }

  @Test
  void theBytesDependOnTheContentAlone() throws IOException {
    Path first = folder.resolve("1");
    Path second = folder.resolve("2");
    var a = HostTensor.ofInts(FileDType.U8, Shape.of(3), 1, 2, 3);
    var b = HostTensor.ofDoubles(Shape.of(1), 1);
    var c = HostTensor.ofFloats(FileDType.F32, Shape.of(1), 1);
    SequencedMap<String, HostTensor> tensors = new LinkedHashMap<>();
    tensors.put("a", a);
    tensors.put("b", b);
    tensors.put("c", c);
    SafeTensors.write(first, tensors, Map.of("x", "1", "y", "2", "z", "3"));
    SafeTensors.write(second, tensors.reversed(), Map.of("z", "3", "y", "2", "x", "1"));
    assertEquals(-1, Files.mismatch(first, second));
    try (var file = SafeTensors.open(first)) {
      assertEquals(List.of("b", "c", "a"), file.names());
    }
    byte[] bytes = Files.readAllBytes(first);
    assertEquals(0, ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong() % 8);
  }

  @Test
  void writingAsksForEachTensorOnceAndWhenItsTurnComes() throws IOException {
    Path path = folder.resolve("lazy.safetensors");
    List<String> asked = new ArrayList<>();
    byte[] shared =
        new byte[16]; // one buffer for all: right only if each is written before the next
    Map<String, HostTensor> tensors = new LinkedHashMap<>();
    for (String name : List.of("c", "a", "b")) {
      tensors.put(
          name,
          new HostTensor(
              FileDType.U8,
              Shape.of(16),
              () -> {
                asked.add(name);
                Arrays.fill(shared, (byte) name.charAt(0));
                return MemorySegment.ofArray(shared);
              }));
    }
    assertEquals(List.of(), asked);
    SafeTensors.write(path, tensors, Map.of());
    assertEquals(List.of("a", "b", "c"), asked);
    try (var file = SafeTensors.open(path)) {
      for (String name : file.names()) {
        int[] want = new int[16];
        Arrays.fill(want, name.charAt(0));
        assertArrayEquals(want, file.ints(name), name);
      }
    }
  }

  @Test
  void aFailedWriteLeavesTheOldFile() throws IOException {
    Path path = folder.resolve("model.safetensors");
    Files.writeString(path, "old");
    var good = HostTensor.ofFloats(FileDType.F32, Shape.of(2), 1, 2);
    var bad =
        new HostTensor(
            FileDType.F32,
            Shape.of(2),
            () -> {
              throw new IllegalStateException("no more memory");
            });
    assertThrows(
        IllegalStateException.class,
        () -> SafeTensors.write(path, Map.of("a", good, "b", bad), Map.of()));
    var wrong =
        new HostTensor(FileDType.F32, Shape.of(2), () -> MemorySegment.ofArray(new byte[7]));
    var e =
        assertThrows(
            IllegalArgumentException.class,
            () -> SafeTensors.write(path, Map.of("a", wrong), Map.of()));
    assertMessage(e, "got 7 bytes", "need 8", "F32 [2]");
    assertEquals("old", Files.readString(path));
    try (var files = Files.list(folder)) {
      assertEquals(List.of(path), files.toList());
    }
  }

  @Test
  void write_rejectsWhatTheFormatCannotHold() {
    Path path = folder.resolve("x");
    var tensor = HostTensor.ofFloats(FileDType.F32, Shape.of(1), 1);
    for (String name : List.of("__metadata__", "\uD800")) {
      assertThrows(
          IllegalArgumentException.class,
          () -> SafeTensors.write(path, Map.of(name, tensor), Map.of()));
    }
    assertFalse(Files.exists(path));
    var missing = folder.resolve("no/such/folder/x");
    var e =
        assertThrows(
            FileSystemException.class, () -> SafeTensors.write(missing, Map.of(), Map.of()));
    assertMessage(e, missing.toString(), "folder does not exist");
  }

  @Test
  void conversionsCheckTheRange() throws IOException {
    Path path = folder.resolve("range.safetensors");
    Map<String, HostTensor> tensors =
        Map.of(
            "ids", HostTensor.ofLongs(Shape.of(3), 1, -5, 4294967296L),
            "odd", HostTensor.ofInts(FileDType.I32, Shape.of(2), 1 << 24, (1 << 24) + 1),
            "max", HostTensor.ofLongs(Shape.of(1), Long.MAX_VALUE),
            "huge", HostTensor.ofDoubles(Shape.of(2), 1e-300, 1e39),
            "half", HostTensor.ofFloats(FileDType.F16, Shape.of(1), 1),
            "flag", HostTensor.of(FileDType.BOOL, Shape.of(2), bytes(1, 2)));
    SafeTensors.write(path, tensors, Map.of());
    try (var file = SafeTensors.open(path)) {
      var e = assertThrows(ConversionException.class, () -> file.ints("ids"));
      assertMessage(e, path.toString(), "\"ids\"", "element 2", "4294967296", "2147483647");
      assertArrayEquals(new double[] {1, -5, 4294967296.0}, file.doubles("ids"));
      e = assertThrows(ConversionException.class, () -> file.floats("odd"));
      assertMessage(e, "\"odd\"", "element 1", "16777217", "float holds exactly");
      e = assertThrows(ConversionException.class, () -> file.doubles("max"));
      assertMessage(e, "\"max\"", "9223372036854775807");
      e = assertThrows(ConversionException.class, () -> file.floats("max"));
      assertMessage(e, "\"max\"", "9223372036854775807");
      e = assertThrows(ConversionException.class, () -> file.floats("huge"));
      assertMessage(e, "\"huge\"", "element 1", "1.0E39");
      e = assertThrows(ConversionException.class, () -> file.ints("half"));
      assertMessage(e, "\"half\"", "dtype F16", "I64");
      e = assertThrows(ConversionException.class, () -> file.ints("flag"));
      assertMessage(e, "\"flag\"", "element 1 is 2", "0 or 1");
      e = assertThrows(ConversionException.class, () -> file.entry("ids").ints());
      assertMessage(e, "I64 [3]", "4294967296");
      var missing = assertThrows(CorruptFileException.class, () -> file.floats("wte"));
      assertMessage(missing, "\"wte\"", "not in the file", "6 tensors");
      assertEquals("wte", missing.tensor());
    }
  }

  @Test
  void closingUnmapsTheFile() throws IOException {
    HostTensor entry;
    try (var file = SafeTensors.open(golden("tiny_gpt2.safetensors"))) {
      entry = file.entry("wte.weight");
      assertTrue(entry.bytes().isReadOnly());
      assertTrue(entry.bytes().isMapped());
    }
    assertThrows(IllegalStateException.class, entry::floats);
  }

  @Test
  void aStreamIsReadLikeAFile() throws IOException {
    HostTensor entry;
    try (InputStream in = Files.newInputStream(golden("tiny_gpt2.safetensors"));
        var file = SafeTensors.read("tiny_gpt2", in);
        var mapped = SafeTensors.open(golden("tiny_gpt2.safetensors"))) {
      assertEquals(mapped.names(), file.names());
      assertEquals(mapped.metadata(), file.metadata());
      for (String name : mapped.names()) {
        assertArrayEquals(mapped.floats(name), file.floats(name), name);
      }
      entry = file.entry("wte.weight");
      assertTrue(entry.bytes().isReadOnly());
    }
    assertThrows(IllegalStateException.class, entry::floats);
    var e =
        assertThrows(
            CorruptFileException.class, () -> read(new ByteArrayInputStream(new byte[20])));
    assertMessage(e, "short: a header length of 0 in 20 bytes", "need 2 to 12");
  }

  private static void read(InputStream in) throws IOException {
    try (var file = SafeTensors.read("short", in)) {
      throw new AssertionError("read " + file.names());
    }
  }

  @Test
  void open_saysWhatIsWrongWithThePath() {
    Path missing = folder.resolve("missing.safetensors");
    assertMessage(
        assertThrows(NoSuchFileException.class, () -> open(missing)),
        missing.toString(),
        "no such file");
    assertMessage(
        assertThrows(FileSystemException.class, () -> open(folder)),
        folder.toString(),
        "is a folder");
  }

  @Test
  void open_doesNotWaitForAPipe() throws IOException, InterruptedException {
    Path pipe = folder.resolve("pipe.safetensors");
    assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());
    assertMessage(
        assertTimeoutPreemptively(
            Duration.ofSeconds(20),
            () -> assertThrows(FileSystemException.class, () -> open(pipe))),
        pipe.toString(),
        "is a pipe or device");
  }

  private static void open(Path path) throws IOException {
    try (var file = SafeTensors.open(path)) {
      throw new AssertionError("opened " + file.names());
    }
  }

  /// Each line: a header, and the parts its message must have after `|`. The data are 8 bytes.
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]} | not valid JSON, ends too early",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]},} | not valid JSON, a key in double",
        "{'a':{'dtype':'F32','shape':[2,],'data_offsets':[0,8]}} | not valid JSON, expected a"
            + " value",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}}x | not valid JSON, after the end",
        "{'a':tru} | not valid JSON, expected a value",
        "{'a':'\\ud800'} | not valid JSON, unpaired surrogate",
        "{'a':'\\x'} | not valid JSON, unknown escape",
        "{'a':'\\u12g4'} | not valid JSON, four hexadecimal digits",
        "{'a':[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]} | not valid JSON, more than 16 levels",
        "{'a':{'dtype':'F32','shape':[1],'data_offsets':[0,4]},"
            + "'a':{'dtype':'F32','shape':[1],'data_offsets':[4,8]}} | the key \"a\" stands twice",
        "[1] | begins with \"[\"",
        "  {} | begins with \" \"",
        "{} | 8 bytes of data; need 0",
        "{'__metadata__':3} | __metadata__ is 3, an object of strings",
        "{'__metadata__':{'k':1}} | __metadata__ \"k\" is 1, need a string",
        "{'a':null} | tensor \"a\", is null, an object of dtype",
        "{'a':{'shape':[2],'data_offsets':[0,8]}} | tensor \"a\", no dtype",
        "{'a':{'dtype':'F32','data_offsets':[0,8]}} | tensor \"a\", no shape",
        "{'a':{'dtype':'F32','shape':[2]}} | tensor \"a\", no data_offsets",
        "{'a':{'dtype':'F8','shape':[2],'data_offsets':[0,8]}} | tensor \"a\", \"F8\", BF16, BOOL",
        "{'a':{'dtype':7,'shape':[2],'data_offsets':[0,8]}} | dtype is 7, one of F16",
        "{'a':{'dtype':'F32','shape':2,'data_offsets':[0,8]}} | shape is 2, array of integers",
        "{'a':{'dtype':'F32','shape':[-2],'data_offsets':[0,8]}} | shape holds -2, integers of 0",
        "{'a':{'dtype':'F32','shape':[2.0],'data_offsets':[0,8]}} | shape holds 2.0, integers",
        "{'a':{'dtype':'F32','shape':[99999999999999999999],'data_offsets':[0,8]}} | shape holds 9",
        "{'a':{'dtype':'F32','shape':[4294967296,4294967296],'data_offsets':[0,8]}} | 2^63 bytes",
        "{'a':{'dtype':'F32','shape':[1000000000000],'data_offsets':[0,8]}}"
            + " | [0, 8], 8 bytes; need 4000000000000 bytes for F32 [1000000000000]",
        "{'a':{'dtype':'F32','shape':[3],'data_offsets':[0,8]}} | 8 bytes; need 12, F32 [3]",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0]}} | 1 data_offsets; need 2",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[8,0]}} | [8, 0], begin ≤ end ≤ 8",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[8,16]}} | [8, 16], begin ≤ end ≤ 8",
        "{'a':{'dtype':'F32','shape':[1],'data_offsets':[4,8]}} | begins at byte 4, a gap; need"
            + " byte 0",
        "{'a':{'dtype':'F32','shape':[1],'data_offsets':[0,4]}} | 8 bytes of data; need 4",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]},"
            + "'b':{'dtype':'F32','shape':[1],'data_offsets':[4,8]}}"
            + " | tensor \"b\", begins at byte 4, inside the tensor before it; need byte 8",
      })
  void open_rejectsACorruptHeader(String line) throws IOException {
    int bar = line.lastIndexOf(" | ");
    byte[] header = line.substring(0, bar).replace('\'', '"').getBytes(StandardCharsets.UTF_8);
    Path path = folder.resolve("corrupt.safetensors");
    Files.write(path, file(header.length, header, new byte[8]));
    var e = assertThrows(CorruptFileException.class, () -> open(path));
    assertMessage(e, path.toString());
    assertMessage(e, line.substring(bar + 3).split(", (?![0-9\\]])"));
  }

  @ParameterizedTest
  @CsvSource({
    "-1, 18446744073709551615",
    "1, 2 to 10",
    "11, 2 to 10",
    "99999999, 99999999 in 18 bytes",
    "4611686018427387904, 4611686018427387904"
  })
  void open_rejectsALyingHeaderLength(long length, String part) throws IOException {
    Path path = folder.resolve("length.safetensors");
    Files.write(path, file(length, "{}        ".getBytes(StandardCharsets.US_ASCII), new byte[0]));
    assertMessage(
        assertThrows(CorruptFileException.class, () -> open(path)), "header length of", part);
  }

  @Test
  void open_rejectsTruncationAtEveryByte() throws IOException {
    Path path = folder.resolve("whole.safetensors");
    SafeTensors.write(
        path,
        Map.of("a", HostTensor.ofFloats(FileDType.F32, Shape.of(2, 2), 1, 2, 3, 4)),
        Map.of("k", "v"));
    byte[] whole = Files.readAllBytes(path);
    for (int length = 0; length < whole.length; length++) {
      MemorySegment cut = MemorySegment.ofArray(whole).asSlice(0, length);
      var e = assertThrows(CorruptFileException.class, () -> parse(cut), "cut to " + length);
      assertMessage(e, "; need ");
    }
    parse(MemorySegment.ofArray(whole));
  }

  @Test
  void open_rejectsAHeaderThatIsNotUtf8() throws IOException {
    Path path = folder.resolve("latin1.safetensors");
    Files.write(path, file(7, "{\"gr\u00f6\":".getBytes(StandardCharsets.ISO_8859_1), new byte[0]));
    assertMessage(
        assertThrows(CorruptFileException.class, () -> open(path)), "not UTF-8 at byte 12");
  }

  @Test
  void aLongNameDoesNotMakeALongMessage() {
    byte[] header = ("{\"" + "n".repeat(100_000) + "\":1}").getBytes(StandardCharsets.US_ASCII);
    var file = MemorySegment.ofArray(file(header.length, header, new byte[0]));
    var e = assertThrows(CorruptFileException.class, () -> parse(file));
    assertTrue(String.valueOf(e.getMessage()).length() < 300);
  }

  /// Whatever the bytes, the answer is a reader or a [CorruptFileException] of one line.
  @Test
  void anyMutationIsReadOrRefused() throws IOException {
    Path path = folder.resolve("seed.safetensors");
    SafeTensors.write(
        path,
        Map.of(
            "wte.weight", HostTensor.ofFloats(FileDType.F32, Shape.of(2, 3), 1, 2, 3, 4, 5, 6),
            "ids", HostTensor.ofLongs(Shape.of(2), 1, 2),
            "mask", HostTensor.ofInts(FileDType.BOOL, Shape.of(3, 1), 1, 0, 1),
            "none", HostTensor.ofFloats(FileDType.BF16, Shape.of(0, 4))),
        Map.of("format", "pt"));
    byte[] seed = Files.readAllBytes(path);
    var random = new SplittableRandom(20240611);
    String[] tokens = {
      "{", "}", "[", "]", ",", ":", "\"", "0", "9", "-", "e", "null", "\\u", "99999999"
    };
    int refused = 0;
    int read = 0;
    long allocated = 0;
    for (int round = 0; round < 20_000; round++) {
      byte[] bytes = seed.clone();
      int edits = 1 + random.nextInt(4);
      for (int edit = 0; edit < edits; edit++) {
        int at = random.nextInt(bytes.length);
        switch (random.nextInt(6)) {
          case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
          case 1 -> bytes[at] = (byte) random.nextInt(256);
          case 2 -> bytes[random.nextInt(8)] = (byte) random.nextInt(256);
          case 3 -> bytes = splice(bytes, at, random.nextInt(bytes.length), new byte[0]);
          case 4 ->
              bytes =
                  splice(
                      bytes,
                      at,
                      at,
                      tokens[random.nextInt(tokens.length)].getBytes(StandardCharsets.US_ASCII));
          default ->
              bytes[8 + random.nextInt(Math.max(1, bytes.length - 8)) - 1] =
                  (byte) ('0' + random.nextInt(10));
        }
        if (bytes.length < 9) {
          break;
        }
      }
      long before = THREADS.getCurrentThreadAllocatedBytes();
      try {
        parse(MemorySegment.ofArray(bytes));
        read++;
      } catch (CorruptFileException e) {
        assertMessage(e, "; need ");
        refused++;
      }
      allocated = Math.max(allocated, THREADS.getCurrentThreadAllocatedBytes() - before);
    }
    assertTrue(allocated < 1 << 20, "allocated " + allocated);
    assertEquals(20_000, refused + read);
    assertTrue(refused > 10_000, "refused " + refused);
    assertTrue(read > 500, "read " + read);
  }

  private static byte[] splice(byte[] bytes, int from, int to, byte[] with) {
    int begin = Math.min(from, to);
    int end = Math.max(from, to);
    var out = new byte[bytes.length - (end - begin) + with.length];
    System.arraycopy(bytes, 0, out, 0, begin);
    System.arraycopy(with, 0, out, begin, with.length);
    System.arraycopy(bytes, end, out, begin + with.length, bytes.length - end);
    return out;
  }

  /// Reads everything there is, so that a fault past the header would show.
  private static void parse(MemorySegment file) throws CorruptFileException {
    try (var arena = Arena.ofConfined()) {
      var tensors = SafeTensors.parse(Path.of("x.safetensors"), file, arena);
      MemorySegment copy = arena.allocate(Math.max(1, file.byteSize()));
      for (String name : tensors.names()) {
        HostTensor tensor = tensors.entry(name);
        assertEquals(tensor.byteSize(), tensor.bytes().byteSize());
        MemorySegment.copy(tensor.bytes(), 0, copy, 0, tensor.byteSize());
      }
    }
  }

  private static byte[] file(long length, byte[] header, byte[] data) {
    return ByteBuffer.allocate(8 + header.length + data.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(length)
        .put(header)
        .put(data)
        .array();
  }

  private static MemorySegment bytes(int... values) {
    var out = new byte[values.length];
    IntStream.range(0, values.length).forEach(i -> out[i] = (byte) values[i]);
    return MemorySegment.ofArray(out);
  }

  static void assertMessage(Throwable e, String... parts) {
    String message = String.valueOf(e.getMessage());
    assertEquals(1, message.lines().count(), message);
    for (String part : parts) {
      assertTrue(message.contains(part), () -> "\"" + message + "\" lacks \"" + part + "\"");
    }
  }
}
