package fornax.cuda;

import fornax.backend.OutOfDeviceMemoryException;
import fornax.backend.Settings;
import fornax.cuda.TensorMatmul.Tile;
import fornax.io.AtomicFile;
import fornax.io.BoundedFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.ToLongFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// Which tile is fastest for a product on this card: each is timed once for each shape, and the
/// fastest is kept on disk for the card, the driver and the kernels' source. All tiles give the
/// same bits, so only the time depends on what is found here.
final class TileSearch {
  private static final String FOLDER = "tiles";
  private static final int ROUNDS = 3;
  private static final long MAX_BYTES = 1 << 22; // some 80,000 products
  private static final Pattern LINE = Pattern.compile("([\\w-]{1,100}) (\\w{1,20})");

  private final CudaDevice device;
  private final boolean searches;
  private @Nullable SortedMap<String, String> found;

  TileSearch(CudaDevice device) {
    this.device = device;
    searches =
        switch (Settings.cudaTiles()) {
          case SEARCH -> true;
          case FIXED -> false;
          case AUTO -> !device.isTestOnly();
        };
  }

  /// A product: the kernels' prefix and form, the sizes, how many.
  record Product(String kernels, String form, long m, long n, long k, long batches) {
    String key() {
      return kernels + form + "-" + m + "x" + n + "x" + k + "x" + batches;
    }
  }

  /// The fastest tile for `product`, or `otherwise` where none may be searched for: inside a
  /// recorded step, without memory to try in, or if `-Dfornax.cuda.tiles=fixed` says so.
  ///
  /// @param tiles the choice
  /// @param nanos the time of one product by a tile, on the card
  synchronized Tile tile(
      Product product, Tile[] tiles, Tile otherwise, ToLongFunction<Tile> nanos) {
    if (!searches) {
      return otherwise;
    }
    SortedMap<String, String> known = known();
    String name = known.get(product.key());
    for (Tile tile : tiles) {
      if (tile.name().equals(name)) {
        return tile;
      }
    }
    if (device.isCapturing()) {
      return otherwise;
    }
    Tile best;
    try {
      best = fastest(tiles, nanos);
    } catch (OutOfDeviceMemoryException _) {
      return otherwise; // no memory to try in
    }
    known.put(product.key(), best.name());
    save(known);
    return best;
  }

  private static Tile fastest(Tile[] tiles, ToLongFunction<Tile> nanos) {
    Tile best = tiles[0];
    long bestNanos = Long.MAX_VALUE;
    for (Tile tile : tiles) {
      long _ = nanos.applyAsLong(tile); // the kernel is loaded
      for (int round = 0; round < ROUNDS; round++) {
        long time = nanos.applyAsLong(tile);
        if (time < bestNanos) {
          best = tile;
          bestNanos = time;
        }
      }
    }
    return best;
  }

  // ---- on disk: a line for each product

  private Path file() {
    String card = device.name().replaceAll("[^A-Za-z0-9]+", "-");
    String source = KernelSource.load("matmulmma").hash();
    return CudaCache.folder(FOLDER)
        .resolve(card + "-driver-" + CudaDriver.version() + "-" + source + ".txt");
  }

  private SortedMap<String, String> known() {
    SortedMap<String, String> known = found;
    if (known == null) {
      known = new TreeMap<>();
      read(known);
      found = known;
    }
    return known;
  }

  private void read(SortedMap<String, String> known) {
    Path file = file();
    try {
      known.putAll(read(file));
    } catch (IOException e) {
      warn(file, e);
    }
  }

  /// The names of tiles by products' keys, as far as lines of `file` are such.
  ///
  /// @throws IOException if it is there and cannot be read
  static SortedMap<String, String> read(Path file) throws IOException {
    SortedMap<String, String> known = new TreeMap<>();
    if (Files.exists(file)) {
      String text = new String(BoundedFile.read(file, MAX_BYTES), StandardCharsets.UTF_8);
      for (String line : text.lines().toList()) {
        Matcher parts = LINE.matcher(line);
        if (parts.matches()) { // or a program or a hand has spoilt it: it is found anew
          known.put(parts.group(1), parts.group(2));
        }
      }
    }
    return known;
  }

  // What another JVM has found meanwhile stays.
  private void save(SortedMap<String, String> known) {
    SortedMap<String, String> all = new TreeMap<>();
    read(all);
    all.putAll(known);
    var text = new StringBuilder();
    all.forEach((key, tile) -> text.append(key).append(' ').append(tile).append('\n'));
    Path file = file();
    try {
      AtomicFile.replace(file, text.toString());
    } catch (IOException e) {
      warn(file, e);
    }
  }

  private static void warn(Path file, IOException e) {
    System.getLogger("fornax.cuda")
        .log(System.Logger.Level.WARNING, "cuda: cannot use the file of tiles " + file, e);
  }
}
