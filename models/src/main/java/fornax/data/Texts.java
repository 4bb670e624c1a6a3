package fornax.data;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.ByteArrayInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;

/// Texts to train on: two that come as dependencies, and any UTF-8 file.
///
/// Every text is decoded strictly: a leading byte order mark is dropped, each CR LF becomes LF, and
/// bytes that are not UTF-8, or a NUL, are an error that gives their place.
public final class Texts {
  private static final int EXCERPT = 60;
  private static final long MAX_BYTES = Integer.MAX_VALUE - 8; // of a Java array

  private static final Resource DICKENS =
      new Resource(
          "dickens.txt", "70b924ea4d22d24d8650660ddddd29fc5c07eafc5803a904e6d1184f50ac4ed7");
  private static final String PLAYS = "org/exist/samples/shakespeare/";
  private static final List<Resource> SHAKESPEARE =
      List.of(
          new Resource(
              PLAYS + "hamlet.xml",
              "becc6324db3a26b5554f9638f74402a67dfb14cfce95a968e014f139f4779dc2"),
          new Resource(
              PLAYS + "r_and_j.xml",
              "2f80c33d32013fba9dd896cbd8c07c370974ecc7216b389e0ef963d8a7ff43ac"),
          new Resource(
              PLAYS + "macbeth.xml",
              "08c55eb437c6cef58ea207ab9a09c370dcd98269fdfcb002d905d999041bf626"));

  private Texts() {}

  /// The text of each of `sources` in turn: `dickens`, `shakespeare`, or a file's name (for a file
  /// called `dickens`, `./dickens`). A newline is put between two texts where the first has none at
  /// its end.
  ///
  /// @throws DataException if one cannot be used
  public static String load(List<String> sources) throws IOException {
    if (sources.isEmpty()) {
      throw noText();
    }
    var text = new StringBuilder();
    for (String source : sources) {
      if (!text.isEmpty() && text.charAt(text.length() - 1) != '\n') {
        text.append('\n');
      }
      text.append(
          switch (source) {
            case "dickens" -> dickens();
            case "shakespeare" -> shakespeare();
            default -> read(Path.of(source));
          });
    }
    return text.toString();
  }

  /// "The Old Curiosity Shop" by Charles Dickens: 1,214,976 characters, 77 distinct ones.
  ///
  /// @throws DataException if the dependency that holds it is missing or another version
  public static String dickens() throws IOException {
    return decode(DICKENS.path(), DICKENS.read("org.apache.crunch:crunch-test:0.15.0"));
  }

  /// "Hamlet", "Romeo and Juliet" and "Macbeth": each speech as `SPEAKER:`, its lines, and an empty
  /// line, without stage directions; 401,507 characters, 63 distinct ones.
  ///
  /// @throws DataException if the dependency that holds it is missing or another version
  public static String shakespeare() throws IOException {
    var text = new StringBuilder();
    for (Resource play : SHAKESPEARE) {
      try {
        speeches(play.read("org.exist-db:exist-samples:6.3.0"), text);
      } catch (XMLStreamException e) {
        throw new DataException("data: " + play.path() + " is not valid XML", e);
      }
    }
    return text.toString();
  }

  /// The text of `file`.
  ///
  /// @throws DataException if it is missing, a folder, empty, not readable, or no UTF-8 text
  public static String read(Path file) throws IOException {
    requireFile(file);
    byte[] bytes;
    try (InputStream in = open(file)) {
      long size = Files.size(file);
      if (size > MAX_BYTES) {
        throw new DataException(
            "data: "
                + file
                + " has "
                + size
                + " bytes; need at most "
                + MAX_BYTES
                + "; split it and give the parts you need");
      }
      bytes = in.readAllBytes();
    }
    String text = decode(file.toString(), bytes);
    if (text.isEmpty()) {
      throw empty(file);
    }
    return text;
  }

  /// Whether `source` names one of the texts that come as dependencies.
  static boolean isNamed(String source) {
    return source.equals("dickens") || source.equals("shakespeare");
  }

  static void requireFile(Path file) throws DataException {
    if (Files.isDirectory(file)) {
      throw new DataException("data: " + file + " is a folder; need a text file; name one in it");
    }
    if (!Files.exists(file)) {
      throw new DataException(
          "data: no file " + file + "; need a UTF-8 text file, dickens or shakespeare");
    }
  }

  /// The file's bytes from the first on.
  @MustBeClosed
  static InputStream open(Path file) throws IOException {
    try {
      return new NamedStream(file, Files.newInputStream(file));
    } catch (AccessDeniedException e) {
      throw new DataException(
          "data: " + file + " may not be read; need read permission; try chmod +r", e);
    }
  }

  /// What a failing disk says names no file; this does.
  private static final class NamedStream extends FilterInputStream {
    private final Path file;

    NamedStream(Path file, InputStream in) {
      super(in);
      this.file = file;
    }

    @Override
    public int read(byte[] to, int offset, int length) throws IOException {
      try {
        return super.read(to, offset, length);
      } catch (IOException e) {
        throw new DataException(
            "data: " + file + " cannot be read: " + e.getMessage() + "; need another copy", e);
      }
    }
  }

  static DataException noText() {
    return new DataException("data: no text given; need dickens, shakespeare or a file");
  }

  static DataException empty(Path file) {
    return new DataException("data: " + file + " is empty; need a text to learn from");
  }

  static DataException binary(String name, long offset) {
    return new DataException(
        "data: " + name + " is binary: a NUL byte at offset " + offset + "; need a UTF-8 text");
  }

  static DataException notUtf8(String name, byte value, long offset) {
    return new DataException(
        String.format(
            Locale.ROOT,
            "data: %s is not UTF-8: byte 0x%02X at offset %d; need a UTF-8 text; try iconv -t"
                + " UTF-8",
            name,
            value & 0xff,
            offset));
  }

  /// Moves `in`, which stands at a file's first byte, behind a byte order mark.
  static void skipMark(ByteBuffer in) {
    if (in.remaining() >= 3
        && in.get(0) == (byte) 0xef
        && in.get(1) == (byte) 0xbb
        && in.get(2) == (byte) 0xbf) {
      var _ = in.position(3);
    }
  }

  /// The text that `in` holds, which messages call `name`.
  ///
  /// @throws DataException if it is empty or no UTF-8 text
  public static String read(String name, InputStream in) throws IOException {
    String text = decode(name, in.readAllBytes());
    if (text.isEmpty()) {
      throw empty(Path.of(name));
    }
    return text;
  }

  /// Strict UTF-8 to text; `name` is for the message.
  static String decode(String name, byte[] bytes) throws DataException {
    var in = ByteBuffer.wrap(bytes);
    skipMark(in);
    for (int i = in.position(); i < bytes.length; i++) {
      if (bytes[i] == 0) {
        throw binary(name, i);
      }
    }
    CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
    var out = CharBuffer.allocate(in.remaining());
    CoderResult result = decoder.decode(in, out, true);
    if (result.isError()) {
      throw notUtf8(name, bytes[in.position()], in.position());
    }
    return out.flip().toString().replace("\r\n", "\n");
  }

  /// The beginning of a value for a message, on one line.
  static String excerpt(String value) {
    String line = value.length() <= EXCERPT ? value : value.substring(0, EXCERPT) + "...";
    return line.replaceAll("\\p{Cntrl}", "?");
  }

  /// Appends the speeches of a play. Two speakers of one speech are joined by a comma.
  private static void speeches(byte[] play, StringBuilder text) throws XMLStreamException {
    XMLInputFactory factory = XMLInputFactory.newDefaultFactory();
    factory.setProperty(XMLInputFactory.SUPPORT_DTD, false);
    factory.setProperty(XMLInputFactory.IS_SUPPORTING_EXTERNAL_ENTITIES, false);
    XMLStreamReader xml = factory.createXMLStreamReader(new ByteArrayInputStream(play));
    var part = new StringBuilder(); // of the speaker or line at hand
    boolean speaking = false; // a speaker has been named in this speech
    boolean inPart = false; // inside a speaker or line
    boolean inDirection = false; // inside a stage direction, which may stand inside a line
    while (xml.hasNext()) {
      switch (xml.next()) {
        case XMLStreamConstants.START_ELEMENT -> {
          switch (xml.getLocalName()) {
            case "SPEAKER", "LINE" -> {
              part.setLength(0);
              inPart = true;
            }
            case "STAGEDIR" -> inDirection = true;
            default -> {}
          }
        }
        case XMLStreamConstants.CHARACTERS, XMLStreamConstants.CDATA -> {
          if (inPart && !inDirection) {
            part.append(xml.getText());
          }
        }
        case XMLStreamConstants.END_ELEMENT -> {
          switch (xml.getLocalName()) {
            case "SPEAKER" -> {
              String name = part.toString().strip();
              if (speaking && !name.isEmpty()) {
                text.setLength(text.length() - 2); // the colon and newline of the one before
                text.append(", ");
              }
              if (!name.isEmpty()) { // a prologue has none
                text.append(name).append(":\n");
                speaking = true;
              }
              inPart = false;
            }
            case "LINE" -> {
              String line = part.toString().strip();
              if (!line.isEmpty()) { // some hold a stage direction alone
                text.append(line).append('\n');
              }
              inPart = false;
            }
            case "STAGEDIR" -> inDirection = false;
            case "SPEECH" -> {
              text.append('\n');
              speaking = false;
            }
            default -> {}
          }
        }
        default -> {}
      }
    }
    xml.close();
  }
}
