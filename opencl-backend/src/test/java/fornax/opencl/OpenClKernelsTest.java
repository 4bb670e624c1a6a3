package fornax.opencl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.AdamWFactors;
import fornax.backend.AdamWSlot;
import fornax.backend.Backend;
import fornax.backend.KernelTime;
import fornax.backend.NdArray;
import fornax.backend.Readback;
import fornax.backend.Reduce;
import fornax.backend.Unary;
import fornax.backend.Workspace;
import fornax.backend.reference.ReferenceBackend;
import fornax.testkit.HostArrays;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.BiFunction;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What the table of operations does not reach: paths of large sizes, many parameters, transfers
/// that overlap, and the time of kernels.
class OpenClKernelsTest {
  private final OpenClBackend backend = Devices.open();
  private final Backend reference = new ReferenceBackend();

  @BeforeEach
  void nothingIsLive() {
    assertEquals(0, backend.memory().stats().live());
  }

  @AfterEach
  void close() {
    backend.synchronize();
    assertEquals(0, backend.memory().stats().live(), () -> backend.memory().leaks().toString());
    backend.close();
    reference.close();
  }

  // `operation` on both devices, from the same numbers.
  private void agree(double tolerance, BiFunction<Backend, Workspace, NdArray> operation) {
    double[] ours = values(backend, operation);
    double[] truth = values(reference, operation);
    double largest = 1;
    for (double value : truth) {
      largest = Math.abs(value) > largest ? Math.abs(value) : largest; // not NaN
    }
    assertArrayEquals(truth, ours, tolerance * largest);
  }

  private static double[] values(
      Backend device, BiFunction<Backend, Workspace, NdArray> operation) {
    try (var work = new Workspace(device.memory())) {
      return HostArrays.values(device, operation.apply(device, work));
    }
  }

  private static NdArray normals(
      Backend device, Workspace work, DType type, Shape shape, long seed) {
    Random random = new Random(seed);
    return HostArrays.of(
        device,
        work,
        type,
        shape,
        random.doubles(shape.elements(), -2, 2).map(value -> (float) value).toArray());
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 64, 65, 1000, 3000})
  void sort_isStableAtAnySize(int columns) {
    for (boolean indices : new boolean[] {false, true}) {
      agree(
          0,
          (device, work) -> {
            NdArray x = normals(device, work, DType.I32, Shape.of(2, columns), 1); // many equals
            NdArray values = work.allocate(DType.I32, x.shape());
            NdArray order = work.allocate(DType.I32, x.shape());
            device.sort(x, true, values, order);
            return indices ? order : values;
          });
    }
  }

  @Test
  void reduce_takesSeveralPassesWhereOneIsNotEnough() {
    for (Shape result : List.of(Shape.of(1, 1), Shape.of(3, 1), Shape.of(1, 50_000))) {
      agree(
          1e-5,
          (device, work) -> {
            NdArray x = normals(device, work, DType.F32, Shape.of(3, 50_000), 2);
            NdArray y = work.allocate(DType.F32, result);
            device.reduce(Reduce.SUM, x, y);
            return y;
          });
    }
    agree(
        1e-5,
        (device, work) -> {
          NdArray x = normals(device, work, DType.F32, Shape.of(1000, 70), 3);
          NdArray y = work.allocate(DType.F32, Shape.of(1, 70));
          device.reduce(Reduce.SUM, x, y);
          return y;
        });
  }

  @ParameterizedTest
  @ValueSource(ints = {7, 5000})
  void embeddingGradient_addsEqualIndicesInSmallAndLargeTables(int rows) {
    agree(
        1e-6,
        (device, work) -> {
          Random random = new Random(4);
          double[] picks = random.ints(300, 0, rows).map(i -> i / 3 * 3).asDoubleStream().toArray();
          NdArray indices = HostArrays.of(device, work, DType.I32, Shape.of(300), picks);
          NdArray dy = normals(device, work, DType.F32, Shape.of(300, 5), 5);
          NdArray table = normals(device, work, DType.F32, Shape.of(rows, 5), 6);
          device.embeddingGradient(dy, indices, table);
          return table;
        });
  }

  @Test
  void embeddingGradient_namesAWrongIndexInALargeTable() {
    try (var work = new Workspace(backend.memory())) {
      NdArray indices = HostArrays.of(backend, work, DType.I32, Shape.of(3), 1, 9000, 2);
      NdArray dy = normals(backend, work, DType.F32, Shape.of(3, 5), 5);
      NdArray table = normals(backend, work, DType.F32, Shape.of(5000, 5), 6);
      backend.embeddingGradient(dy, indices, table);
      IndexOutOfBoundsException thrown =
          assertThrows(IndexOutOfBoundsException.class, backend::synchronize);
      assertTrue(
          String.valueOf(thrown.getMessage()).contains("got 9000 at position [1]; need 0 <= index"),
          thrown::toString);
    }
    backend.synchronize(); // said once
  }

  @Test
  void wrongIndex_isReportedByTheNextReadback() {
    try (var work = new Workspace(backend.memory())) {
      NdArray x = normals(backend, work, DType.F32, Shape.of(4, 3), 7);
      NdArray indices = HostArrays.of(backend, work, DType.I32, Shape.of(2), 0, 4);
      NdArray y = work.allocate(DType.F32, Shape.of(2, 3));
      backend.embedding(x, indices, y);
      Readback late = backend.readback(y);
      IndexOutOfBoundsException thrown = assertThrows(IndexOutOfBoundsException.class, late::await);
      assertTrue(String.valueOf(thrown.getMessage()).startsWith("embedding: "), thrown::toString);
    }
  }

  @Test
  void adamW_updatesManyParametersAndNoneWhereTheNormIsNotFinite() {
    for (double scale : new double[] {0.5, Double.POSITIVE_INFINITY, Double.NaN}) {
      for (int slot : new int[] {0, 8, 18}) {
        for (int part = 0; part < 3; part++) {
          int which = part;
          agree(
              1e-6,
              (device, work) -> {
                List<AdamWSlot> slots = new ArrayList<>();
                for (int i = 0; i < 19; i++) {
                  Shape shape = Shape.of(i == 3 ? 0 : 1 + 97 * i);
                  NdArray squares = normals(device, work, DType.F32, shape, 40 + i);
                  device.unary(Unary.SQUARE, squares, squares);
                  slots.add(
                      new AdamWSlot(
                          normals(device, work, DType.F32, shape, 10 + i),
                          normals(device, work, DType.F32, shape, 20 + i),
                          normals(device, work, DType.F32, shape, 30 + i),
                          squares));
                }
                float[] factors = AdamWFactors.of(1e-2, 0.9, 0.99, 1e-8, 0.1, 3);
                NdArray on = work.allocate(DType.F32, Shape.of(AdamWFactors.COUNT));
                device.upload(MemorySegment.ofArray(factors), on);
                NdArray by = HostArrays.of(device, work, DType.F32, Shape.scalar(), scale);
                device.adamW(slots, on, by);
                AdamWSlot one = slots.get(slot);
                return which == 0
                    ? one.parameter()
                    : which == 1 ? one.firstMoment() : one.secondMoment();
              });
        }
      }
    }
  }

  @Test
  void globalNorm_isOverAllArraysOfAllTypes() {
    for (double most : new double[] {1, 1e9}) {
      agree(
          1e-6,
          (device, work) -> {
            List<NdArray> arrays = new ArrayList<>();
            for (int i = 0; i < 11; i++) {
              DType type = i % 2 == 0 ? DType.F32 : DType.BF16;
              arrays.add(normals(device, work, type, Shape.of(i * 700), i));
            }
            NdArray norm = work.allocate(DType.F32, Shape.scalar());
            NdArray scale = work.allocate(DType.F32, Shape.scalar());
            device.globalNorm(arrays, norm);
            device.clipScale(norm, most, scale);
            return most == 1 ? norm : scale;
          });
    }
  }

  @Test
  void clipScale_isNaNWhereTheNormIsNotFinite() {
    for (double norm : new double[] {Double.POSITIVE_INFINITY, Double.NaN}) {
      agree(
          0,
          (device, work) -> {
            NdArray x = HostArrays.of(device, work, DType.F32, Shape.scalar(), norm);
            NdArray y = work.allocate(DType.F32, Shape.scalar());
            device.clipScale(x, 1, y);
            return y;
          });
    }
  }

  /// More uploads in flight than the staging memory holds, each from a source that is overwritten
  /// at once.
  @Test
  void upload_letsItsSourceBeReused() {
    int elements = 3 << 20;
    try (var work = new Workspace(backend.memory())) {
      NdArray y = work.allocate(DType.F32, Shape.of(elements));
      NdArray sum = work.allocate(DType.F32, Shape.of(8));
      float[] source = new float[elements];
      for (int i = 0; i < 8; i++) {
        source[elements - 1] = i + 1;
        backend.upload(MemorySegment.ofArray(source), y);
        source[elements - 1] = -1;
        backend.copy(y.slice(0, elements - 1, elements), sum.slice(0, i, i + 1));
      }
      assertArrayEquals(new double[] {1, 2, 3, 4, 5, 6, 7, 8}, HostArrays.values(backend, sum));
    }
  }

  @Test
  void readback_mayBeDroppedOrAwaitedTwice() {
    try (var work = new Workspace(backend.memory())) {
      NdArray x = normals(backend, work, DType.F32, Shape.of(1000), 8);
      for (int i = 0; i < 100; i++) {
        Readback _ = backend.readback(x);
      }
      Readback kept = backend.readback(x);
      backend.synchronize();
      float first = kept.await().get(ValueLayout.JAVA_FLOAT, 0);
      assertEquals(first, kept.await().get(ValueLayout.JAVA_FLOAT, 0));
      assertEquals(first, (float) HostArrays.values(backend, x)[0]);
    }
  }

  @Test
  void kernelTimes_areMeasuredWhereAskedFor() {
    assertTrue(backend.kernelTimes().isEmpty());
    System.setProperty("fornax.profile", "true");
    try (var measured = Devices.open();
        var work = new Workspace(measured.memory())) {
      NdArray x = normals(measured, work, DType.F32, Shape.of(1000), 9);
      for (int i = 0; i < 3; i++) {
        measured.unary(Unary.EXP, x, x);
      }
      List<KernelTime> times = measured.kernelTimes();
      assertEquals(1, times.size());
      assertTrue(times.getFirst().kernel().contains("elementwise.cl:unary"), times::toString);
      assertEquals(3, times.getFirst().launches());
      assertFalse(times.getFirst().nanos() <= 0);
      assertTrue(measured.kernelTimes().isEmpty());
    } finally {
      System.clearProperty("fornax.profile");
    }
  }
}
