package fornax.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.OutOfDeviceMemoryException;
import fornax.backend.Replay;
import fornax.cuda.softwaredevice.SoftwareDevice;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The search for the fastest tile: made once for each shape, kept for the card and the driver, and
/// without effect on any number.
class TileSearchTest {
  private static final TileSearch.Product PRODUCT =
      new TileSearch.Product("matmul_mma_", "nt", 64, 48, 32, 1);

  @TempDir @Nullable Path folder;
  private final List<String> before = new ArrayList<>();

  @BeforeEach
  void chooseAFolder() {
    TestDevice.load();
    for (String property : List.of("fornax.cache", "fornax.cuda.tiles", "fornax.cuda.cublas")) {
      before.add(property);
      before.add(System.getProperty(property, ""));
    }
    System.setProperty("fornax.cache", String.valueOf(folder));
    System.setProperty("fornax.cuda.tiles", "search");
    System.setProperty("fornax.cuda.cublas", "false");
  }

  @AfterEach
  void reset() {
    for (int i = 0; i < before.size(); i += 2) {
      if (before.get(i + 1).isEmpty()) {
        System.clearProperty(before.get(i));
      } else {
        System.setProperty(before.get(i), before.get(i + 1));
      }
    }
    if (!TestDevice.isCard()) {
      SoftwareDevice.reset();
    }
  }

  private static TensorMatmul.Tile tile(CudaDevice device, List<String> timed, String fastest) {
    return new TileSearch(device)
        .tile(
            PRODUCT,
            TensorMatmul.TILES,
            TensorMatmul.TILES[0],
            tile -> {
              timed.add(tile.name());
              return tile.name().equals(fastest) ? 10 : 20;
            });
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(Path.of(String.valueOf(folder)).resolve("tiles"))) {
      return files.sorted().toList();
    }
  }

  @Test
  void fastestTile_isFoundOnceForACardAndADriver() throws IOException {
    assumeFalse(TestDevice.isCard(), "the driver is what it is");
    try (CudaBackend backend = TestDevice.open()) {
      List<String> timed = new ArrayList<>();
      assertEquals("128x64", tile(backend.device(), timed, "128x64").name());
      assertEquals(12, timed.size(), timed::toString);
      // Another JVM finds it on disk, and so asks for no time.
      assertEquals("128x64", tile(backend.device(), timed, "64x64").name());
      assertEquals(12, timed.size());
      assertEquals(1, files().size());
      assertEquals("matmul_mma_nt-64x48x32x1 128x64\n", Files.readString(files().getFirst()));
    }
    SoftwareDevice.set("DRIVER", "13.0");
    try (CudaBackend backend = TestDevice.open()) {
      assertEquals("64x64", tile(backend.device(), new ArrayList<>(), "64x64").name());
      assertEquals(2, files().size(), "another driver may have another fastest tile");
    }
  }

  @Test
  void damagedFile_isSearchedAgain() throws IOException {
    try (CudaBackend backend = TestDevice.open()) {
      assertEquals("64x64", tile(backend.device(), new ArrayList<>(), "64x64").name());
      Files.writeString(files().getFirst(), "matmul_mma_nt-64x48x32x1 7x7\nnonsense\n");
      List<String> timed = new ArrayList<>();
      assertEquals("128x128", tile(backend.device(), timed, "128x128").name());
      assertNotEquals(List.of(), timed);
    }
  }

  @Test
  void noMemoryToTryIn_isTheUsualTile() {
    try (CudaBackend backend = TestDevice.open()) {
      var search = new TileSearch(backend.device());
      TensorMatmul.Tile usual = TensorMatmul.TILES[1];
      TensorMatmul.Tile found =
          search.tile(
              PRODUCT,
              TensorMatmul.TILES,
              usual,
              tile -> {
                throw new OutOfDeviceMemoryException("allocate: no memory");
              });
      assertEquals(usual, found);
      assertEquals("128x64", tile(backend.device(), new ArrayList<>(), "128x64").name());
    }
  }

  /// On the device itself: products come out with the bits of the fixed choice, a search is made by
  /// the first product of a shape alone, and none inside a recorded step.
  @Test
  void products_keepTheirBits() throws IOException {
    System.setProperty("fornax.cuda.tiles", "fixed");
    float[] fixed;
    try (CudaBackend backend = TestDevice.open()) {
      fixed = product(backend, 1);
    }
    System.setProperty("fornax.cuda.tiles", "search");
    try (CudaBackend backend = TestDevice.open()) {
      assertArrayEquals(fixed, product(backend, 1 + 3 * 4));
      assertArrayEquals(fixed, product(backend, 1));
      assertEquals(1, files().size());
      String known = Files.readString(files().getFirst());
      assertTrue(known.startsWith("matmul_mma_nt-70x70x40x1 "), known);
      try (var _ = Scope.open()) {
        Tensor x = numbers(backend, 33);
        Replay replay =
            backend.capture(
                () -> {
                  try (var _ = Scope.open()) {
                    Tensor _ = x.matmul(x.transpose());
                  }
                });
        replay.run();
        replay.close();
      }
      assertEquals(known, Files.readString(files().getFirst()));
    }
  }

  private static float[] product(CudaBackend backend, int launches) {
    try (var _ = Scope.open()) {
      Tensor x = numbers(backend, 70);
      long before = backend.device().launches();
      Tensor y = x.matmul(x.transpose());
      assertEquals(launches, backend.device().launches() - before);
      return y.toFloatArray();
    }
  }

  private static Tensor numbers(CudaBackend backend, int rows) {
    double[] values = new double[rows * 40];
    for (int i = 0; i < values.length; i++) {
      values[i] = StrictMath.sin(i * 12.9898);
    }
    return Tensors.on(backend).of(values, DType.BF16, Shape.of(rows, 40));
  }
}
