package fornax.data;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.LongConsumer;

/// The text that [Texts#load] gives, in pieces of about a million characters, so that a text of any
/// size takes a few megabytes of memory.
///
/// A piece ends before a space or newline that follows a letter, digit or sign: there no
/// tokenizer's word goes on, so the tokens of the pieces are those of the whole.
public final class TextStream {
  private static final int PIECE = 1 << 20; // characters
  private static final int LONGEST = 1 << 26; // characters without a space before we cut anywhere
  private static final int READ = 1 << 18; // bytes

  private final List<String> sources;
  private final int piece;

  private TextStream(List<String> sources, int piece) {
    this.sources = sources;
    this.piece = piece;
  }

  /// Takes the pieces of a text.
  @FunctionalInterface
  public interface Sink {
    /// Takes the next piece, which is not empty.
    void next(String piece) throws IOException;
  }

  /// The texts `sources` in turn: `dickens`, `shakespeare`, or a file's name.
  ///
  /// @throws DataException if there is none, or a file is missing or a folder
  public static TextStream of(List<String> sources) throws DataException {
    return of(sources, PIECE);
  }

  static TextStream of(List<String> sources, int piece) throws DataException {
    if (sources.isEmpty()) {
      throw Texts.noText();
    }
    for (String source : sources) {
      if (!Texts.isNamed(source)) {
        Texts.requireFile(Path.of(source));
      }
    }
    return new TextStream(List.copyOf(sources), piece);
  }

  /// The bytes of its files; 0 for texts that are none.
  public long bytes() throws IOException {
    long bytes = 0;
    for (String source : sources) {
      bytes += Texts.isNamed(source) ? 0 : Files.size(Path.of(source));
    }
    return bytes;
  }

  /// Reads the text from its beginning.
  ///
  /// @throws DataException if a file is empty, not readable, or no UTF-8 text
  public void forEach(Sink sink) throws IOException {
    forEach(sink, _ -> {});
  }

  /// The same.
  ///
  /// @param progress told how many bytes of the files have been read
  public void forEach(Sink sink, LongConsumer progress) throws IOException {
    var cutter = new Cutter(sink, piece);
    long before = 0;
    for (String source : sources) {
      cutter.begin();
      if (Texts.isNamed(source)) {
        cutter.add(Texts.load(List.of(source)));
      } else {
        before += read(Path.of(source), cutter, before, progress);
      }
    }
    cutter.end();
  }

  // Strict UTF-8; returns the number of bytes.
  private static long read(Path file, Cutter to, long before, LongConsumer progress)
      throws IOException {
    CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
    var bytes = ByteBuffer.allocate(READ);
    var letters = CharBuffer.allocate(READ + 1);
    long consumed = 0; // of the file, by the decoder
    boolean first = true;
    boolean empty = true;
    try (InputStream in = Texts.open(file)) {
      for (boolean more = true; more; ) {
        int read = in.readNBytes(bytes.array(), bytes.position(), bytes.remaining());
        more = read > 0;
        requireNoNul(file, bytes, read, consumed);
        var _ = bytes.position(bytes.position() + read).flip();
        if (first) {
          first = false;
          Texts.skipMark(bytes);
        }
        CoderResult result = decoder.decode(bytes, letters, !more);
        if (result.isError()) {
          throw Texts.notUtf8(
              file.toString(), bytes.get(bytes.position()), consumed + bytes.position());
        }
        consumed += bytes.position();
        var _ = bytes.compact();
        to.add(letters.flip());
        empty &= letters.isEmpty();
        var _ = letters.clear();
        progress.accept(before + consumed);
      }
    }
    if (empty) {
      throw Texts.empty(file);
    }
    return consumed;
  }

  private static void requireNoNul(Path file, ByteBuffer bytes, int read, long consumed)
      throws DataException {
    for (int i = bytes.position(); i < bytes.position() + read; i++) {
      if (bytes.get(i) == 0) {
        throw Texts.binary(file.toString(), consumed + i);
      }
    }
  }

  /// Makes LF of CR LF, and pieces of what comes.
  private static final class Cutter {
    private final Sink sink;
    private final int piece;
    private final StringBuilder text = new StringBuilder();
    private int due; // characters at which to look for a place to cut
    private boolean any; // text has come
    private char last; // of what has come
    private boolean heldReturn; // the last character, which may be before an LF

    Cutter(Sink sink, int piece) {
      this.sink = sink;
      this.piece = piece;
      due = piece;
    }

    /// Another text begins: a newline stands before it.
    void begin() {
      releaseReturn();
      if (any && last != '\n') {
        append('\n');
      }
    }

    void add(CharSequence letters) throws IOException {
      int start = 0;
      if (letters.isEmpty()) {
        return;
      }
      if (heldReturn && letters.charAt(0) == '\n') {
        heldReturn = false;
      }
      releaseReturn();
      for (int i = 0; i < letters.length(); i++) {
        if (letters.charAt(i) == '\r'
            && (i + 1 == letters.length() || letters.charAt(i + 1) == '\n')) {
          text.append(letters, start, i);
          start = i + 1;
          heldReturn = start == letters.length();
        }
      }
      text.append(letters, start, letters.length());
      any = true;
      last = letters.charAt(letters.length() - 1);
      cut();
    }

    private void releaseReturn() {
      if (heldReturn) {
        heldReturn = false;
        append('\r');
      }
    }

    private void append(char letter) {
      text.append(letter);
      last = letter;
    }

    private void cut() throws IOException {
      while (text.length() >= due) {
        int at = place();
        if (at == 0 && text.length() < LONGEST) {
          due = 2 * text.length();
          return;
        }
        if (at == 0) {
          at = Character.isHighSurrogate(text.charAt(text.length() - 1)) ? 1 : 0;
          at = text.length() - at;
        }
        sink.next(text.substring(0, at));
        var _ = text.delete(0, at);
        due = piece;
      }
    }

    // The last place where words end; 0: there is none.
    private int place() {
      for (int i = text.length() - 1; i > 0; i--) {
        char next = text.charAt(i);
        if (next == ' ' || next == '\n') {
          char before = text.charAt(i - 1);
          if (before > ' ' && before < 0x7f || Character.isLetterOrDigit(before)) {
            return i;
          }
        }
      }
      return 0;
    }

    void end() throws IOException {
      releaseReturn();
      if (!text.isEmpty()) {
        sink.next(text.toString());
      }
    }
  }
}
