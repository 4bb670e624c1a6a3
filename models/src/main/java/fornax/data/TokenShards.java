package fornax.data;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.google.errorprone.annotations.MustBeClosed;
import fornax.io.BoundedFile;
import fornax.io.CorruptFileException;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/// Tokens in files that are mapped: `tokens-00000.bin` and so on, each of unsigned 16- or 32-bit
/// numbers in little-endian order, and `index.json` with their lengths and checksums.
public final class TokenShards implements TokenSequence, AutoCloseable {
  static final long SHARD = 1L << 28; // tokens; half a gigabyte of 16 bits
  private static final long MOST_SHARD = Long.MAX_VALUE / Integer.BYTES;
  private static final long MAX_INDEX_BYTES = 1 << 20; // some 50,000 shards

  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
          .build();
  private static final String INDEX = "index.json";
  private static final ValueLayout.OfShort U16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt U32 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final Arena arena = Arena.ofShared();
  private final List<MemorySegment> shards = new ArrayList<>();
  private final Index index;

  /// What `index.json` says.
  ///
  /// @param shardTokens of each shard but the last
  /// @param checksums the shards' CRC-32C
  private record Index(long tokens, int bytesPerToken, long shardTokens, List<Long> checksums) {
    private Index {
      boolean sized = tokens >= 0 && shardTokens >= 1 && shardTokens <= MOST_SHARD;
      if (!sized
          || bytesPerToken != Short.BYTES && bytesPerToken != Integer.BYTES
          || checksums.size() != Math.ceilDiv(tokens, shardTokens)
          || checksums.contains(null)) {
        throw new IllegalArgumentException("sizes that do not fit one another");
      }
    }
  }

  private TokenShards(Index index) {
    this.index = index;
  }

  private static String name(int shard) {
    return String.format(Locale.ROOT, "tokens-%05d.bin", shard);
  }

  /// Maps the files that a [Writer] left in `folder`, after a look at their checksums.
  ///
  /// @throws DataException if a file is missing or damaged
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed here or by the caller
  public static TokenShards open(Path folder) throws IOException {
    Index index = readIndex(folder);
    var all = new TokenShards(index);
    try {
      for (int i = 0; i < index.checksums().size(); i++) {
        all.map(folder, i);
      }
      return all;
    } catch (Throwable e) {
      all.close();
      throw e;
    }
  }

  private static Index readIndex(Path folder) throws IOException {
    try {
      byte[] json = BoundedFile.read(folder.resolve(INDEX), MAX_INDEX_BYTES);
      Index index = JSON.readValue(json, Index.class);
      if (index != null) { // as the text "null" is
        return index;
      }
    } catch (JacksonException | NoSuchFileException | CorruptFileException e) {
      throw damaged(folder, INDEX, e);
    }
    throw damaged(folder, INDEX, null);
  }

  private void map(Path folder, int shard) throws IOException {
    long tokens = Math.min(index.shardTokens(), index.tokens() - shard * index.shardTokens());
    try (var file = openShard(folder.resolve(name(shard)))) {
      MemorySegment bytes = file.map(FileChannel.MapMode.READ_ONLY, 0, file.size(), arena);
      if (bytes.byteSize() != tokens * index.bytesPerToken()
          || checksum(bytes) != index.checksums().get(shard)) {
        throw damaged(folder, name(shard), null);
      }
      shards.add(bytes);
    } catch (NoSuchFileException e) {
      throw damaged(folder, name(shard), e);
    }
  }

  private static FileChannel openShard(Path file) throws IOException {
    BoundedFile.requireRegular(file, "a file of tokens");
    return FileChannel.open(file, StandardOpenOption.READ);
  }

  private static long checksum(MemorySegment bytes) {
    var sum = new CRC32C();
    long step = 1 << 30;
    for (long at = 0; at < bytes.byteSize(); at += step) {
      sum.update(bytes.asSlice(at, Math.min(step, bytes.byteSize() - at)).asByteBuffer());
    }
    return sum.getValue();
  }

  private static DataException damaged(Path folder, String file, @Nullable Throwable cause) {
    String message =
        "data: the tokens in "
            + folder
            + " are damaged: "
            + file
            + "; delete the folder and they are made again";
    return cause == null ? new DataException(message) : new DataException(message, cause);
  }

  @Override
  public long length() {
    return index.tokens();
  }

  @Override
  public void copy(long from, int[] to, int offset, int count) {
    Objects.checkFromIndexSize(from, count, index.tokens());
    Objects.checkFromIndexSize(offset, count, to.length);
    for (int done = 0; done < count; ) {
      long place = from + done;
      MemorySegment shard = shards.get((int) (place / index.shardTokens()));
      long start = place % index.shardTokens();
      int here = (int) Math.min(count - done, index.shardTokens() - start);
      if (index.bytesPerToken() == Short.BYTES) {
        for (int i = 0; i < here; i++) {
          to[offset + done + i] = shard.getAtIndex(U16, start + i) & 0xffff;
        }
      } else {
        MemorySegment.copy(shard, U32, start * Integer.BYTES, to, offset + done, here);
      }
      done += here;
    }
  }

  /// Unmaps the files.
  @Override
  public void close() {
    arena.close();
  }

  /// Writes tokens to a folder.
  static final class Writer implements AutoCloseable {
    private final Path folder;
    private final int bytesPerToken;
    private final long shardTokens;
    private final List<Long> checksums = new ArrayList<>();
    private final CRC32C checksum = new CRC32C();
    private @Nullable OutputStream shard;
    private long tokens;

    /// @param folder that exists and is empty
    /// @param vocabulary above every token
    Writer(Path folder, int vocabulary, long shardTokens) {
      this.folder = folder;
      bytesPerToken = vocabulary <= 1 << 16 ? Short.BYTES : Integer.BYTES;
      this.shardTokens = shardTokens;
    }

    void write(int[] list) throws IOException {
      for (int done = 0; done < list.length; ) {
        long room = shardTokens - tokens % shardTokens;
        int here = (int) Math.min(room, list.length - done);
        byte[] bytes = new byte[here * bytesPerToken];
        MemorySegment to = MemorySegment.ofArray(bytes);
        for (int i = 0; i < here; i++) {
          if (bytesPerToken == Short.BYTES) {
            to.setAtIndex(U16, i, (short) list[done + i]);
          } else {
            to.setAtIndex(U32, i, list[done + i]);
          }
        }
        OutputStream out = shard;
        if (out == null) {
          out =
              new BufferedOutputStream(
                  Files.newOutputStream(folder.resolve(name(checksums.size()))));
          shard = out;
        }
        out.write(bytes);
        checksum.update(bytes);
        done += here;
        tokens += here;
        if (here == room) {
          closeShard();
        }
      }
    }

    private void closeShard() throws IOException {
      OutputStream out = shard;
      if (out != null) {
        out.close();
        shard = null;
        checksums.add(checksum.getValue());
        checksum.reset();
      }
    }

    /// Writes the index, last of all.
    void finish() throws IOException {
      closeShard();
      var index = new Index(tokens, bytesPerToken, shardTokens, checksums);
      Files.write(folder.resolve(INDEX), JSON.writeValueAsBytes(index));
    }

    @Override
    public void close() throws IOException {
      closeShard();
    }
  }
}
