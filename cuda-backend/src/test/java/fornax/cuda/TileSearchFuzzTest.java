package fornax.cuda;

import static java.nio.charset.StandardCharsets.UTF_8;

import fornax.testkit.Fuzz;
import fornax.testkit.FuzzFolder;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

/// Any bytes are names of tiles, as many of them as are lines that a search wrote.
class TileSearchFuzzTest {
  private static final String FILE = "card-driver-13000-0123.txt";
  private static final FuzzFolder FOLDER =
      FuzzFolder.of(
          new LinkedHashMap<>(
              Map.of(
                  FILE,
                  "matmul_mma_nn-64x48x32x1 128x64\nmatmul_mma_nt-64x48x32x1 64x64\n"
                      .getBytes(UTF_8))),
          1);

  static final Fuzz FUZZ =
      Fuzz.of("tiles", TileSearchFuzzTest::read)
          .seeds(FOLDER.seeds())
          .words("matmul_mma_nn-", "128x128", "\n", " ");

  private static void read(byte[] input) throws IOException {
    TileSearch.read(FOLDER.with(input).resolve(FILE))
        .forEach(
            (product, tile) -> {
              if ((product + tile).chars().anyMatch(Character::isWhitespace) || tile.isEmpty()) {
                throw new AssertionError(product + " " + tile);
              }
            });
  }

  /// Jazzer's way in.
  public static void fuzzerTestOneInput(byte[] input) {
    FUZZ.check(input);
  }

  @Test
  void anyBytes_areNamesOfTilesOrNone() {
    FUZZ.run();
  }
}
