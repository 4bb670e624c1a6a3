package fornax.data;

import com.google.errorprone.annotations.MustBeClosed;
import fornax.backend.Settings;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HexFormat;
import java.util.List;
import java.util.function.Function;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/// A text as tokens. Those of a short text are in memory; those of a long one are in files that are
/// mapped, so that neither it nor its tokens need be there as a whole.
///
/// The files are kept for the next time in `tokens` in the cache folder ([Settings#cache]), under a
/// name made of the text's SHA-256 and the tokenizer; without a cache folder they are temporary.
public final class TokenizedText implements AutoCloseable {
  private static final int SHORT = 1 << 24; // characters
  private static final int MOST_AT_ONCE = 16; // pieces

  private final String sha256;
  private final Tokenizer tokenizer;
  private final TokenSequence tokens;
  private final @Nullable Path temporary;

  private TokenizedText(
      String sha256, Tokenizer tokenizer, TokenSequence tokens, @Nullable Path temporary) {
    this.sha256 = sha256;
    this.tokenizer = tokenizer;
    this.tokens = tokens;
    this.temporary = temporary;
  }

  /// Where the files go, what is short, and who is told how far it is.
  ///
  /// @param cache null: the files are temporary
  /// @param shortest characters of the shortest text that goes to files
  /// @param reading told the bytes of the text's files that have been read, the first time
  /// @param encoding likewise, while tokens are made
  public record Options(
      @Nullable Path cache, int shortest, LongConsumer reading, LongConsumer encoding) {
    /// The user's cache folder, and nobody told.
    public static Options standard() {
      @Nullable Path folder = Settings.cache();
      return new Options(folder == null ? null : folder.resolve("tokens"), SHORT, _ -> {}, _ -> {});
    }

    public Options withoutCache() {
      return new Options(null, shortest, reading, encoding);
    }

    public Options withProgress(LongConsumer reading, LongConsumer encoding) {
      return new Options(cache, shortest, reading, encoding);
    }
  }

  /// What is known of a text before it is made into tokens.
  ///
  /// @param characters of the text, each once, in ascending order
  /// @param sha256 of the text in UTF-8, in hexadecimal digits
  public record Scan(String characters, String sha256) {}

  /// The tokens of `text`, by the tokenizer that `choose` makes for it.
  ///
  /// @throws DataException if the text cannot be read
  /// @throws UnknownCharacterException if the tokenizer lacks a character
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed by the caller
  public static TokenizedText of(TextStream text, Function<Scan, Tokenizer> choose, Options options)
      throws IOException {
    MessageDigest digest = sha256();
    var characters = new BitSet();
    var whole = new StringBuilder();
    boolean[] isLong = {false};
    text.forEach(
        piece -> {
          digest.update(piece.getBytes(StandardCharsets.UTF_8));
          piece.codePoints().forEach(characters::set);
          isLong[0] |= whole.length() + piece.length() >= options.shortest();
          if (isLong[0]) {
            whole.setLength(0);
            whole.trimToSize();
          } else {
            whole.append(piece);
          }
        },
        options.reading());
    int[] all = characters.stream().toArray();
    String sha256 = HexFormat.of().formatHex(digest.digest());
    Tokenizer tokenizer = choose.apply(new Scan(new String(all, 0, all.length), sha256));
    if (!isLong[0]) {
      TokenSequence tokens = TokenSequence.of(tokenizer.encode(whole.toString()));
      return new TokenizedText(sha256, tokenizer, tokens, null);
    }
    Path cache = options.cache();
    if (cache == null) {
      Path folder = Files.createTempDirectory("fornax-tokens-");
      try {
        write(text, sha256, tokenizer, folder, options.encoding());
        return new TokenizedText(sha256, tokenizer, TokenShards.open(folder), folder);
      } catch (Throwable e) {
        UnfinishedFolder.delete(folder);
        throw e;
      }
    }
    Path folder = cache.resolve(key(sha256, tokenizer));
    if (!Files.isDirectory(folder)) {
      make(text, sha256, tokenizer, folder, options.encoding());
    }
    return new TokenizedText(sha256, tokenizer, TokenShards.open(folder), null);
  }

  private static String key(String sha256, Tokenizer tokenizer) {
    MessageDigest digest = sha256();
    digest.update(sha256.getBytes(StandardCharsets.UTF_8));
    tokenizer
        .description()
        .forEach(
            (name, value) ->
                digest.update((name + "\0" + value + "\0").getBytes(StandardCharsets.UTF_8)));
    return HexFormat.of().formatHex(digest.digest(), 0, 16);
  }

  // Under another name first, so that the folder is there as a whole or not at all.
  private static void make(
      TextStream text, String sha256, Tokenizer tokenizer, Path folder, LongConsumer progress)
      throws IOException {
    Path cache = Files.createDirectories(folder.getParent());
    try (var unfinished = UnfinishedFolder.in(cache)) {
      write(text, sha256, tokenizer, unfinished.path(), progress);
      Path _ = Files.move(unfinished.path(), folder, StandardCopyOption.ATOMIC_MOVE);
    } catch (FileSystemException e) {
      if (!Files.isDirectory(folder)) {
        throw e;
      } // else another program was faster; which exception that is depends on the system
    }
  }

  /// @throws DataException if the text is no longer that of `sha256`, which names the tokens
  private static void write(
      TextStream text, String sha256, Tokenizer tokenizer, Path folder, LongConsumer progress)
      throws IOException {
    MessageDigest digest = sha256();
    int atOnce = Math.min(MOST_AT_ONCE, Runtime.getRuntime().availableProcessors());
    List<String> waiting = new ArrayList<>();
    try (var writer =
        new TokenShards.Writer(folder, tokenizer.vocabularySize(), TokenShards.SHARD)) {
      text.forEach(
          piece -> {
            digest.update(piece.getBytes(StandardCharsets.UTF_8));
            waiting.add(piece);
            if (waiting.size() == atOnce) {
              encode(waiting, tokenizer, writer);
            }
          },
          progress);
      encode(waiting, tokenizer, writer);
      if (!HexFormat.of().formatHex(digest.digest()).equals(sha256)) {
        throw changed();
      }
      writer.finish();
    }
  }

  private static DataException changed() {
    return new DataException(
        "data: the text changed while it was read; need one that stays; try again");
  }

  private static void encode(List<String> pieces, Tokenizer tokenizer, TokenShards.Writer writer)
      throws IOException {
    for (int[] tokens : pieces.parallelStream().map(tokenizer::encode).toList()) {
      writer.write(tokens);
    }
    pieces.clear();
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }

  /// The SHA-256 of the text in UTF-8, in hexadecimal digits.
  public String textSha256() {
    return sha256;
  }

  public Tokenizer tokenizer() {
    return tokenizer;
  }

  /// Valid until this is closed.
  public TokenSequence tokens() {
    return tokens;
  }

  /// Whether the tokens are in mapped files.
  public boolean isMapped() {
    return tokens instanceof TokenShards;
  }

  @Override
  public void close() {
    if (tokens instanceof TokenShards shards) {
      shards.close();
    }
    if (temporary != null) {
      try {
        UnfinishedFolder.delete(temporary);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}
