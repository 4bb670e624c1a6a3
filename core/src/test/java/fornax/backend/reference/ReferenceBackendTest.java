package fornax.backend.reference;

import static fornax.array.DType.BF16;
import static fornax.array.DType.BOOL;
import static fornax.array.DType.F32;
import static fornax.array.DType.F64;
import static fornax.array.DType.I32;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.AdamWFactors;
import fornax.backend.AdamWSlot;
import fornax.backend.AttentionOptions;
import fornax.backend.Backends;
import fornax.backend.Binary;
import fornax.backend.Compare;
import fornax.backend.CrossEntropyOptions;
import fornax.backend.DeviceException;
import fornax.backend.NdArray;
import fornax.backend.Philox;
import fornax.backend.Reduce;
import fornax.backend.Unary;
import fornax.backend.Workspace;
import fornax.testkit.HostArrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class ReferenceBackendTest {
  private static final double INF = Double.POSITIVE_INFINITY;
  private static final double NAN = Double.NaN;

  private final ReferenceBackend backend = new ReferenceBackend();

  @SuppressWarnings("MustBeClosed") // after each test
  private final Workspace work = new Workspace(backend.memory());

  @AfterEach
  void nothingIsLeft() {
    work.close();
    assertEquals(0, backend.memory().stats().live());
    backend.close();
    assertEquals(0, backend.memory().stats().system());
  }

  private NdArray of(DType dtype, Shape shape, double... values) {
    return HostArrays.of(backend, work, dtype, shape, values);
  }

  private NdArray floats(double... values) {
    return of(F32, Shape.of(values.length), values);
  }

  private NdArray empty(DType dtype, long... dims) {
    return work.allocate(dtype, Shape.of(dims));
  }

  // 0, 1, 2, … in `dims`.
  private NdArray counting(DType dtype, long... dims) {
    NdArray y = empty(dtype, dims);
    backend.range(y, 0, 1);
    return y;
  }

  private void assertValues(NdArray actual, double... expected) {
    assertArrayEquals(expected, HostArrays.values(backend, actual));
  }

  // ---- moving data

  @Test
  void copy_convertsAndFollowsLayouts() {
    NdArray x = floats(1.9, -1.9, NAN, 0, -0.0, 3e9);
    NdArray integers = empty(I32, 6);
    backend.copy(x, integers);
    assertValues(integers, 1, -1, 0, 0, 0, Integer.MAX_VALUE);
    NdArray booleans = empty(BOOL, 6);
    backend.copy(x, booleans);
    assertValues(booleans, 1, 1, 1, 0, 0, 1);
    NdArray back = empty(F32, 6);
    backend.copy(booleans, back);
    assertValues(back, 1, 1, 1, 0, 0, 1);
    NdArray transposed = empty(F32, 3, 2);
    backend.copy(counting(F32, 2, 3).transpose(), transposed);
    assertValues(transposed, 0, 3, 1, 4, 2, 5);
    NdArray target = counting(F32, 2, 3);
    backend.copy(of(F32, Shape.of(2, 1), 7, 8), target.slice(1, 1, 2));
    assertValues(target, 0, 7, 2, 3, 8, 5);
  }

  @Test
  void copy_roundsToNearestEven() {
    NdArray y = empty(BF16, 4);
    backend.copy(floats(1 + 0x1p-8, 1 + 3 * 0x1p-8, 1 + 0x1p-8 + 0x1p-20, NAN), y);
    assertValues(y, 1, 1 + 4 * 0x1p-8, 1 + 2 * 0x1p-8, NAN);
    NdArray single = empty(F32, 2);
    backend.copy(of(F64, Shape.of(2), 1 + 0x1p-24, 0.1), single);
    assertValues(single, 1, 0.1f);
  }

  @Test
  void uploadAndReadback_keepTheirPlaceInTheBuffer() {
    NdArray y = counting(I32, 4);
    NdArray two = of(I32, Shape.of(2), 8, 9);
    backend.upload(backend.readback(two).await(), y.slice(0, 1, 3));
    assertValues(y, 0, 8, 9, 3);
    assertValues(y.slice(0, 2, 4), 9, 3);
  }

  @Test
  void fillAndRange_writeConvertedNumbers() {
    NdArray y = counting(F32, 2, 2);
    backend.fill(y.slice(1, 0, 1), 0.1);
    assertValues(y, 0.1f, 1, 0.1f, 3);
    NdArray steps = empty(I32, 3);
    backend.range(steps, 5, -2);
    assertValues(steps, 5, 3, 1);
  }

  // ---- elementwise

  @Test
  void unary_takesViewsAndWritesInPlace() {
    NdArray x = counting(F32, 2, 2);
    backend.unary(Unary.SQUARE, x.transpose(), x.transpose());
    assertValues(x, 0, 1, 4, 9);
    NdArray integers = of(I32, Shape.of(3), -3, 0, Integer.MIN_VALUE);
    backend.unary(Unary.NEGATE, integers, integers);
    assertValues(integers, 3, 0, Integer.MIN_VALUE);
    NdArray half = empty(BF16, 2);
    backend.unary(Unary.EXP, floats(0, 1), half);
    assertValues(half, 1, 2.71875);
  }

  @Test
  void binary_broadcastsByStride0() {
    NdArray y = empty(F32, 2, 3);
    NdArray column = of(F32, Shape.of(2, 1), 10, 20);
    backend.binary(Binary.ADD, counting(F32, 2, 3), column.expand(y.shape()), y);
    assertValues(y, 10, 11, 12, 23, 24, 25);
    backend.binary(
        Binary.POWER, floats(2, 9, 4), floats(3, 0.5, -1), y.slice(0, 0, 1).reshape(Shape.of(3)));
    assertValues(y, 8, 3, 0.25, 23, 24, 25);
    NdArray z = empty(F32, 3);
    backend.binary(Binary.MAXIMUM, floats(1, NAN, -INF), floats(2, 1, 3), z);
    assertValues(z, 2, NAN, 3);
    backend.binary(Binary.MULTIPLY, floats(1, 2, 3), 0.1, z);
    assertValues(z, 0.1f, (float) (2 * (double) 0.1f), (float) (3 * (double) 0.1f));
  }

  @Test
  void binary_ofIntegersWrapsRound() {
    NdArray x = of(I32, Shape.of(2), Integer.MAX_VALUE, 65537);
    NdArray y = empty(I32, 2);
    backend.binary(Binary.ADD, x, 1, y);
    assertValues(y, Integer.MIN_VALUE, 65538);
    backend.binary(Binary.MULTIPLY, x, x, y);
    assertValues(y, 1, 131073); // 65537² − 2³²
    NdArray or = empty(BOOL, 3);
    backend.binary(
        Binary.MAXIMUM, of(BOOL, Shape.of(3), 0, 1, 0), of(BOOL, Shape.of(3), 0, 0, 1), or);
    assertValues(or, 0, 1, 1);
  }

  @Test
  void compareAndWhere_choose() {
    NdArray condition = empty(BOOL, 4);
    NdArray x = floats(1, NAN, 3, -INF);
    backend.compare(Compare.GREATER_EQUAL, x, 1, condition);
    assertValues(condition, 1, 0, 1, 0);
    backend.compare(Compare.NOT_EQUAL, x, x, condition);
    assertValues(condition, 0, 1, 0, 0);
    NdArray y = empty(F32, 4);
    backend.where(condition, of(F32, Shape.scalar(), 5).expand(y.shape()), x, y);
    assertValues(y, 1, 5, 3, -INF);
  }

  // ---- reductions and scans

  @Test
  void reduce_foldsTheAxesOfSize1() {
    NdArray x = counting(F32, 2, 3, 2);
    NdArray y = empty(F32, 1, 3, 1);
    backend.reduce(Reduce.SUM, x, y);
    assertValues(y, 0 + 1 + 6 + 7, 2 + 3 + 8 + 9, 4 + 5 + 10 + 11);
    backend.reduce(Reduce.MIN, x, y);
    assertValues(y, 0, 2, 4);
    NdArray all = empty(F32, 1, 1);
    backend.reduce(Reduce.MAX, x.slice(2, 0, 1).reshape(Shape.of(2, 3)).transpose(), all);
    assertValues(all, 10);
  }

  @Test
  void reduce_ofNothingAndOfNaN() {
    NdArray y = empty(F32, 2, 1);
    backend.reduce(Reduce.SUM, empty(F32, 2, 0), y);
    assertValues(y, 0, 0);
    backend.reduce(Reduce.MAX, empty(F32, 2, 0), y);
    assertValues(y, -INF, -INF);
    backend.reduce(Reduce.MAX, of(F32, Shape.of(2, 2), 1, NAN, 2, INF), y);
    assertValues(y, NAN, INF);
    NdArray lowest = empty(I32, 1);
    backend.reduce(Reduce.MAX, empty(I32, 0), lowest);
    assertValues(lowest, Integer.MIN_VALUE);
    NdArray wrapped = empty(I32, 1);
    backend.reduce(Reduce.SUM, of(I32, Shape.of(2), Integer.MAX_VALUE, 1), wrapped);
    assertValues(wrapped, Integer.MIN_VALUE);
  }

  @Test
  void reduce_accumulatesInDouble() {
    NdArray y = empty(F32, 1);
    backend.reduce(Reduce.SUM, floats(0x1p24, 1, 1, -0x1p24), y);
    assertValues(y, 2);
  }

  @Test
  void argmax_takesTheFirstLargest() {
    NdArray y = empty(I32, 2, 1);
    backend.argmax(of(F32, Shape.of(2, 4), 1, 3, 3, 2, 5, NAN, INF, NAN), 1, y);
    assertValues(y, 1, 1);
    NdArray columns = empty(I32, 1, 3);
    backend.argmax(of(F32, Shape.of(2, 3), 1, 5, 3, 4, 2, 3), -2, columns);
    assertValues(columns, 1, 0, 0);
  }

  @Test
  void cumulativeSum_runsAlongItsAxis() {
    NdArray y = empty(F32, 2, 3);
    backend.cumulativeSum(counting(F32, 2, 3), 1, y);
    assertValues(y, 0, 1, 3, 3, 7, 12);
    backend.cumulativeSum(counting(F32, 2, 3), 0, y);
    assertValues(y, 0, 1, 2, 3, 5, 7);
  }

  @Test
  void sort_isStableAndPutsNaNLargest() {
    NdArray x = of(F32, Shape.of(2, 4), 2, NAN, 1, 2, 0, -0.0, -1, INF);
    NdArray values = empty(F32, 2, 4);
    NdArray indices = empty(I32, 2, 4);
    backend.sort(x, false, values, indices);
    assertValues(values, 1, 2, 2, NAN, -1, 0, -0.0, INF);
    assertValues(indices, 2, 0, 3, 1, 2, 0, 1, 3);
    backend.sort(x, true, values, indices);
    assertValues(values, NAN, 2, 2, 1, INF, 0, -0.0, -1);
    assertValues(indices, 1, 0, 3, 2, 3, 0, 1, 2);
  }

  // ---- linear algebra

  @Test
  void matmul_multipliesBatchesOfViews() {
    NdArray a = counting(F32, 2, 2, 3);
    NdArray b = counting(F32, 2, 3);
    NdArray y = empty(F32, 2, 2, 2);
    backend.matmul(a, b.transpose().expand(Shape.of(2, 3, 2)), y, false);
    assertValues(y, 5, 14, 14, 50, 23, 86, 32, 122);
    backend.matmul(a, b.transpose().expand(Shape.of(2, 3, 2)), y.transpose().transpose(), true);
    assertValues(y, 10, 28, 28, 100, 46, 172, 64, 244);
    NdArray transposed = empty(F32, 2, 2, 2);
    backend.matmul(a, b.transpose().expand(Shape.of(2, 3, 2)), transposed.swapAxes(0, 1), false);
    assertValues(transposed, 5, 14, 23, 86, 14, 50, 32, 122);
  }

  @Test
  void matmul_ofNothingIs0() {
    NdArray y = counting(F32, 2, 2);
    backend.matmul(empty(F32, 2, 0), empty(F32, 0, 2), y, true);
    assertValues(y, 0, 1, 2, 3);
    backend.matmul(empty(F32, 2, 0), empty(F32, 0, 2), y, false);
    assertValues(y, 0, 0, 0, 0);
  }

  // ---- by index

  @Test
  void gather_picksAlongItsAxis() {
    NdArray x = counting(F32, 2, 3);
    NdArray y = empty(F32, 2, 2);
    backend.gather(x, 1, of(I32, Shape.of(2, 2), 2, 0, 1, 1), y);
    assertValues(y, 2, 0, 4, 4);
    NdArray rows = empty(F32, 4, 3);
    backend.gather(x, 0, of(I32, Shape.of(4, 1), 1, 0, 0, 1).expand(rows.shape()), rows);
    assertValues(rows, 3, 4, 5, 0, 1, 2, 0, 1, 2, 3, 4, 5);
  }

  @Test
  void scatterAdd_addsEveryOccurrence() {
    NdArray y = of(F32, Shape.of(3, 2), 1, 1, 1, 1, 1, 1);
    NdArray indices = of(I32, Shape.of(3, 1), 2, 0, 2);
    backend.scatterAdd(counting(F32, 3, 2), 0, indices.expand(Shape.of(3, 2)), y);
    assertValues(y, 3, 4, 1, 1, 5, 7);
  }

  @Test
  void wrongIndices_areNamedWithTheirPlace() {
    NdArray x = counting(F32, 65, 2);
    NdArray indices = of(I32, Shape.of(4, 1), 0, 64, 3, 77);
    NdArray y = empty(F32, 4, 2);
    assertEquals(
        "gather: index outside the axis; got 77 at position [3]; need 0 <= index < 65",
        assertThrows(
                IndexOutOfBoundsException.class,
                () -> backend.embedding(x, indices.reshape(Shape.of(4)), y))
            .getMessage());
    assertEquals(
        "gather: index outside the axis; got -1 at position [0, 1]; need 0 <= index < 2",
        assertThrows(
                IndexOutOfBoundsException.class,
                () -> backend.gather(x, 1, of(I32, Shape.of(1, 2), 1, -1), empty(F32, 1, 2)))
            .getMessage());
    NdArray sums = counting(F32, 3);
    assertEquals(
        "scatterAdd: index outside the axis; got 3 at position [1]; need 0 <= index < 3",
        assertThrows(
                IndexOutOfBoundsException.class,
                () -> backend.scatterAdd(floats(1, 1), 0, of(I32, Shape.of(2), 0, 3), sums))
            .getMessage());
    assertValues(sums, 0, 1, 2);
  }

  // ---- randomness

  @Test
  void random_isPhiloxByLogicalElement() {
    NdArray state = of(I32, Shape.of(4), 11, 12, 13, 14);
    NdArray bits = empty(I32, 2, 3);
    backend.random(state, 7, bits);
    int[] first = new int[4];
    int[] second = new int[4];
    Philox.block(11, 12, 0, 7, 13, 14, first);
    Philox.block(11, 12, 1, 7, 13, 14, second);
    assertValues(bits, first[0], first[1], first[2], first[3], second[0], second[1]);
    NdArray uniform = empty(F32, 5);
    backend.random(state, 7, uniform.slice(0, 1, 5));
    assertValues(
        uniform.slice(0, 1, 5),
        Philox.uniform(first[0]),
        Philox.uniform(first[1]),
        Philox.uniform(first[2]),
        Philox.uniform(first[3]));
  }

  // ---- the default bodies, where their edges are not those of a formula

  @Test
  void dropout_keepsTheRightShareAndScalesIt() {
    NdArray x = empty(F32, 10_000);
    backend.fill(x, 3);
    backend.dropout(x, 0.25, of(I32, Shape.of(4), 1, 0, 0, 0), 0, x);
    int kept = 0;
    for (double value : HostArrays.values(backend, x)) {
      assertTrue(value == 0 || value == 4, () -> "got " + value);
      kept += value == 4 ? 1 : 0;
    }
    assertEquals(7_500, kept, 150); // 3.5 standard deviations
  }

  @Test
  void crossEntropy_ignoresItsIndex() {
    NdArray x = of(F32, Shape.of(2, 2), 0, 0, 1000, 0);
    NdArray losses = empty(F32, 2);
    NdArray logSumExp = empty(F32, 2);
    NdArray targets = of(I32, Shape.of(2), -100, 1);
    backend.crossEntropy(x, targets, CrossEntropyOptions.DEFAULT, losses, logSumExp);
    assertValues(losses, 0, 1000);
    assertValues(logSumExp, (float) Math.log(2), 1000);
    NdArray dx = empty(F32, 2, 2);
    backend.crossEntropyGradient(
        x, targets, CrossEntropyOptions.DEFAULT, logSumExp, floats(1, 1), dx);
    assertValues(dx, 0, 0, 1, -1);
    NdArray wrong = of(I32, Shape.of(2), 0, 2);
    assertThrows(
        IndexOutOfBoundsException.class,
        () -> backend.crossEntropy(x, wrong, CrossEntropyOptions.DEFAULT, losses, logSumExp));
  }

  @Test
  void attention_ofAQueryThatSeesNothingIs0() {
    Shape shape = Shape.of(1, 1, 2, 2);
    NdArray q = of(F32, shape, 1, 0, 0, 1);
    NdArray v = of(F32, shape, 1, 2, 3, 4);
    NdArray mask = of(BOOL, shape, 0, 0, 0, 1);
    NdArray y = empty(F32, 1, 1, 2, 2);
    NdArray logSumExp = empty(F32, 1, 1, 2);
    AttentionOptions options = AttentionOptions.of(false, 1);
    backend.attention(q, q, v, mask, options, y, logSumExp);
    assertValues(y, 0, 0, 3, 4);
    assertValues(logSumExp, -INF, 1);
    NdArray dq = empty(F32, 1, 1, 2, 2);
    NdArray dk = empty(F32, 1, 1, 2, 2);
    NdArray dv = empty(F32, 1, 1, 2, 2);
    backend.attentionGradient(q, q, v, mask, options, y, logSumExp, v, dq, dk, dv);
    assertValues(dv, 0, 0, 3, 4);
    assertValues(dq, 0, 0, 0, 0);
  }

  @Test
  void adamW_changesNothingWhereTheScaleIsNotFinite() {
    AdamWSlot slot = new AdamWSlot(floats(1, 2), floats(3, NAN), floats(4, 5), floats(6, 7));
    NdArray factors = empty(F32, AdamWFactors.COUNT);
    backend.fill(factors, 0.5);
    for (double scale : new double[] {NAN, INF}) {
      backend.adamW(List.of(slot), factors, of(F32, Shape.scalar(), scale));
      assertValues(slot.parameter(), 1, 2);
      assertValues(slot.firstMoment(), 4, 5);
      assertValues(slot.secondMoment(), 6, 7);
    }
  }

  @Test
  void clipScale_isNaNWhereTheNormIsNotFinite() {
    NdArray y = empty(F32);
    backend.clipScale(of(F32, Shape.scalar(), 0.5), 1, y);
    assertValues(y, 1);
    backend.clipScale(of(F32, Shape.scalar(), 4), 1, y);
    assertEquals(0.25, HostArrays.values(backend, y)[0], 1e-6);
    backend.clipScale(of(F32, Shape.scalar(), INF), 1, y);
    assertValues(y, NAN);
  }

  @Test
  void globalNorm_runsOverAllArrays() {
    NdArray y = empty(F32);
    backend.globalNorm(List.of(floats(3), counting(F32, 0, 4), of(F32, Shape.of(1, 1), 4)), y);
    assertValues(y, 5);
  }

  @Test
  void multinomial_neverDrawsAWeightOf0() {
    NdArray weights = empty(F32, 2000, 4);
    backend.copy(of(F32, Shape.of(1, 4), 0, 1, 3, 0).expand(weights.shape()), weights);
    NdArray y = empty(I32, 2000);
    backend.multinomial(weights, of(I32, Shape.of(4), 5, 0, 0, 0), 3, y);
    int twos = 0;
    for (double value : HostArrays.values(backend, y)) {
      assertTrue(value == 1 || value == 2, () -> "got " + value);
      twos += value == 2 ? 1 : 0;
    }
    assertEquals(1500, twos, 70); // 3.6 standard deviations
  }

  @Test
  void topK_ordersEqualsByIndex() {
    NdArray values = empty(F32, 1, 3);
    NdArray indices = empty(I32, 1, 3);
    backend.topK(of(F32, Shape.of(1, 4), 1, 7, 3, 7), values, indices);
    assertValues(values, 7, 7, 3);
    assertValues(indices, 1, 3, 2);
  }

  // ---- finding it

  @Test
  void provider_isFoundByNameAndNeverByAuto() {
    try (var opened = Backends.open("reference").backend()) {
      assertEquals("reference", opened.id());
    }
    assertFalse(
        Backends.providers().stream()
            .anyMatch(p -> p.name().equals("reference") && p.preference() != 0));
    assertThrows(DeviceException.class, () -> Backends.open("reference:1"));
    assertThrows(DeviceException.class, () -> Backends.open("abacus"));
  }
}
