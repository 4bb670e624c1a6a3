package fornax.cpu;

import static fornax.array.DType.BF16;
import static fornax.array.DType.BOOL;
import static fornax.array.DType.F16;
import static fornax.array.DType.F32;
import static fornax.array.DType.I32;
import static fornax.cpu.Trial.Lie.PLAIN;
import static fornax.cpu.Trial.Lie.SLICED;
import static fornax.cpu.Trial.Lie.STRIDED;
import static fornax.cpu.Trial.Lie.TRANSPOSED;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.AdamWFactors;
import fornax.backend.AdamWSlot;
import fornax.backend.AttentionOptions;
import fornax.backend.Binary;
import fornax.backend.Compare;
import fornax.backend.Conv2dOptions;
import fornax.backend.CrossEntropyOptions;
import fornax.backend.Extent;
import fornax.backend.NdArray;
import fornax.backend.Pool2dOptions;
import fornax.backend.Reduce;
import fornax.backend.SgdFactors;
import fornax.backend.SgdSlot;
import fornax.backend.Unary;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// Every operation of the CPU backend on arrays of odd sizes, all types and layouts, some large
/// enough for several threads.
record Cases(String name, double reduced, Consumer<Trial> run) {
  private static final long[][] SHAPES = {{}, {0}, {7}, {5, 1, 17}, {64, 3}, {131, 130}};

  /// All cases; `reduced` is the number of elements that one result is summed from.
  static List<Cases> all() {
    List<Cases> cases = new ArrayList<>();
    elementwise(cases);
    moves(cases);
    reductions(cases);
    indexed(cases);
    rows(cases);
    products(cases);
    images(cases);
    optimizers(cases);
    random(cases);
    return cases;
  }

  private static void add(List<Cases> cases, String name, Consumer<Trial> run) {
    cases.add(new Cases(name, 1, run));
  }

  private static void elementwise(List<Cases> cases) {
    for (long[] dims : SHAPES) {
      String shape = Arrays.toString(dims);
      for (Unary op : Unary.values()) {
        add(cases, op + shape, t -> unary(t, op, F32, PLAIN, dims));
        add(cases, op + " gradient" + shape, t -> unaryGradient(t, op, F32, PLAIN, dims));
      }
      for (Trial.Lie lie : Trial.Lie.values()) {
        add(cases, "square " + lie + shape, t -> unary(t, Unary.SQUARE, F32, lie, dims));
        add(cases, "exp bf16 " + lie + shape, t -> unary(t, Unary.EXP, BF16, lie, dims));
        add(
            cases,
            "gelu gradient bf16 " + lie + shape,
            t -> unaryGradient(t, Unary.GELU_TANH, BF16, lie, dims));
        add(cases, "negate i32 " + lie + shape, t -> unary(t, Unary.NEGATE, I32, lie, dims));
        for (DType type : List.of(F32, BF16, F16, I32)) {
          add(
              cases,
              "multiply " + type + lie + shape,
              t -> binary(t, Binary.MULTIPLY, type, lie, dims));
          add(cases, "where " + type + lie + shape, t -> where(t, type, lie, dims));
        }
        add(cases, "or " + lie + shape, t -> binary(t, Binary.MAXIMUM, BOOL, lie, dims));
        add(cases, "less bool " + lie + shape, t -> compare(t, Compare.LESS, BOOL, lie, dims));
      }
      for (Binary op : Binary.values()) {
        add(cases, op + shape, t -> binary(t, op, F32, PLAIN, dims));
        add(
            cases,
            op + " number" + shape,
            t -> t.backend.binary(op, t.positive(dims), 1.7, t.out(dims)));
      }
      for (Compare op : Compare.values()) {
        add(cases, op + shape, t -> compare(t, op, F32, PLAIN, dims));
        add(cases, op + " i32" + shape, t -> compare(t, op, I32, STRIDED, dims));
        add(
            cases,
            op + " number" + shape,
            t -> t.backend.compare(op, t.in(I32, PLAIN, dims), 2, t.out(BOOL, PLAIN, dims)));
      }
    }
    add(cases, "special values", Cases::special);
    add(cases, "add row", t -> broadcast(t, 70, 300, 1, 300));
    add(cases, "add column", t -> broadcast(t, 70, 300, 70, 1));
    add(cases, "add short row", t -> broadcast(t, 700, 5, 1, 5));
    add(
        cases,
        "add in place",
        t -> {
          NdArray y = t.changed(t.in(300, 70));
          t.backend.binary(Binary.ADD, y, t.in(300, 70), y);
        });
  }

  private static void unary(Trial t, Unary op, DType type, Trial.Lie lie, long... dims) {
    boolean positive =
        op == Unary.LOG || op == Unary.SQRT || op == Unary.RSQRT || op == Unary.RECIPROCAL;
    NdArray x = positive ? t.positive(dims) : t.in(type, lie, dims);
    t.backend.unary(op, x, t.out(type, lie, dims));
  }

  private static void unaryGradient(Trial t, Unary op, DType type, Trial.Lie lie, long... dims) {
    NdArray x = type == F32 ? t.positive(dims) : t.in(type, lie, dims);
    NdArray y = t.out(type, PLAIN, dims);
    t.backend.unary(op, x, y);
    t.backend.unaryGradient(op, x, y, t.in(dims), t.out(type, lie, dims));
  }

  private static void binary(Trial t, Binary op, DType type, Trial.Lie lie, long... dims) {
    NdArray a =
        op == Binary.POWER || op == Binary.DIVIDE ? t.positive(dims) : t.in(type, lie, dims);
    NdArray b = op == Binary.DIVIDE ? t.positive(dims) : t.in(type, PLAIN, dims);
    t.backend.binary(op, a, b, t.out(type, lie, dims));
  }

  private static void compare(Trial t, Compare op, DType type, Trial.Lie lie, long... dims) {
    NdArray a = t.in(type, lie, dims);
    NdArray b = t.in(type, PLAIN, dims);
    t.backend.compare(op, a, b, t.out(BOOL, lie, dims));
  }

  private static void where(Trial t, DType type, Trial.Lie lie, long... dims) {
    t.backend.where(
        t.in(BOOL, lie, dims),
        t.in(type, lie, dims),
        t.in(type, PLAIN, dims),
        t.out(type, lie, dims));
  }

  private static void broadcast(Trial t, long rows, long columns, long... dims) {
    NdArray b = t.in(dims).expand(Shape.of(rows, columns));
    t.backend.binary(Binary.ADD, t.in(rows, columns), b, t.out(rows, columns));
  }

  private static void special(Trial t) {
    double inf = Double.POSITIVE_INFINITY;
    double[] values = {0, -0.0, 1, -1, inf, -inf, Double.NaN, 1e4, -1e4, 88.8, -88.8, -104, 1e-40};
    NdArray x = t.of(F32, values);
    for (Unary op : Unary.values()) {
      t.backend.unary(op, x, t.out(values.length));
    }
    for (Compare op : Compare.values()) {
      t.backend.compare(op, x, t.of(F32, reversed(values)), t.out(BOOL, PLAIN, values.length));
    }
    NdArray other = t.of(F32, reversed(values));
    for (Binary op : Binary.values()) {
      t.backend.binary(op, x, other, t.out(values.length));
    }
    t.backend.copy(x, t.out(BF16, PLAIN, values.length));
    t.backend.copy(x, t.out(BOOL, PLAIN, values.length));
    t.backend.copy(x, t.out(I32, PLAIN, values.length));
    t.backend.reduce(Reduce.MAX, x, t.out(1));
    t.backend.reduce(Reduce.MIN, x, t.out(1));
    t.backend.argmax(x, 0, t.out(I32, PLAIN, 1));
    NdArray order = t.out(I32, PLAIN, values.length);
    t.backend.sort(x, false, t.out(values.length), order);
    t.backend.sort(x, true, t.out(values.length), order);
  }

  private static double[] reversed(double[] values) {
    double[] other = new double[values.length];
    Arrays.setAll(other, i -> values[values.length - 1 - i]);
    return other;
  }

  private static void images(List<Cases> cases) {
    Conv2dOptions plain = Conv2dOptions.DEFAULT;
    // images, channels, height and width; filters and their size
    long[][] shapes = {
      {9, 16, 14, 14, 32, 3},
      {33, 1, 28, 28, 8, 5},
      {70, 32, 5, 5, 40, 3},
      {2, 24, 60, 50, 12, 3},
      {17, 12, 9, 7, 18, 1},
    };
    for (long[] shape : shapes) {
      for (Conv2dOptions options :
          List.of(
              plain,
              plain.withPadding(2),
              plain.withStride(2).withPadding(1),
              plain.withGroups(shape[1] % 2 == 0 ? 2 : 1).withDilation(2).withPadding(1))) {
        for (DType type : List.of(F32, BF16, F16)) {
          cases.add(
              new Cases(
                  "conv2d " + type + Arrays.toString(shape) + options,
                  shape[0] * shape[2] * shape[3],
                  t -> convolution(t, type, options, shape)));
        }
      }
    }
    Pool2dOptions wide = Pool2dOptions.of(3).withStride(2).withPadding(1);
    for (Pool2dOptions options : List.of(Pool2dOptions.of(2), wide)) {
      for (DType type : List.of(F32, BF16, F16)) {
        add(cases, "pool2d " + type + options, t -> pooling(t, type, options));
      }
    }
  }

  private static void convolution(Trial t, DType type, Conv2dOptions options, long... shape) {
    long channels = shape[1] / options.groups();
    int size = (int) shape[5];
    NdArray x = t.in(type, PLAIN, shape[0], shape[1], shape[2], shape[3]);
    NdArray w = t.in(type, PLAIN, shape[4], channels, size, size);
    Extent output = options.output(Extent.of((int) shape[2], (int) shape[3]), Extent.of(size));
    long[] dims = {shape[0], shape[4], output.height(), output.width()};
    t.backend.conv2d(x, w, t.in(shape[4]), options, t.out(type, PLAIN, dims));
    NdArray dy = t.in(type, PLAIN, dims);
    NdArray dx = t.out(type, PLAIN, x.shape().toArray());
    t.backend.conv2dInputGradient(dy, w, options, dx);
    NdArray dw = t.changed(t.in(type, PLAIN, w.shape().toArray()));
    t.backend.conv2dWeightGradient(x, dy, options, dw, true);
  }

  private static void pooling(Trial t, DType type, Pool2dOptions options) {
    NdArray x = t.in(type, PLAIN, 5, 30, 17, 15);
    Extent output = options.output(Extent.of(17, 15));
    long[] dims = {5, 30, output.height(), output.width()};
    NdArray places = t.out(I32, PLAIN, dims);
    t.backend.maxPool2d(x, options, t.out(type, PLAIN, dims), places);
    NdArray dy = t.in(type, PLAIN, dims);
    t.backend.maxPool2dGradient(places, dy, options, t.out(type, PLAIN, 5, 30, 17, 15));
    t.backend.avgPool2d(x, options, t.out(type, PLAIN, dims));
    t.backend.avgPool2dGradient(dy, options, t.out(type, PLAIN, 5, 30, 17, 15));
  }

  private static void moves(List<Cases> cases) {
    for (long[] dims : SHAPES) {
      for (DType from : List.of(F32, BF16, F16, I32, BOOL)) {
        for (DType to : List.of(F32, BF16, F16, I32, BOOL)) {
          for (Trial.Lie lie : List.of(PLAIN, TRANSPOSED)) {
            add(
                cases,
                "copy " + from + to + lie + Arrays.toString(dims),
                t -> t.backend.copy(t.in(from, lie, dims), t.out(to, PLAIN, dims)));
          }
        }
        add(
            cases,
            "fill " + from + Arrays.toString(dims),
            t -> t.backend.fill(t.out(from, STRIDED, dims), -2.75));
        add(
            cases,
            "copy to " + from + Arrays.toString(dims),
            t -> t.backend.copy(t.in(from, PLAIN, dims), t.out(from, TRANSPOSED, dims)));
      }
    }
    add(cases, "fill large", t -> t.backend.fill(t.out(40, 1000), 3));
    add(cases, "range", t -> t.backend.range(t.out(1000), -3, 0.37));
    add(cases, "range i32", t -> t.backend.range(t.out(I32, PLAIN, 100), 5, -2));
  }

  private static void reductions(List<Cases> cases) {
    long[][][] pairs = {
      {{}, {}},
      {{0}, {1}},
      {{3, 0}, {3, 1}},
      {{0, 3}, {1, 3}},
      {{7}, {1}},
      {{7}, {7}},
      {{33, 31}, {33, 1}},
      {{33, 31}, {1, 31}},
      {{33, 31}, {1, 1}},
      {{1025, 3}, {1, 3}},
      {{3, 1025}, {3, 1}},
      {{5, 6, 7}, {5, 1, 7}},
      {{5, 6, 7}, {1, 6, 1}},
      {{5, 6, 7}, {5, 1, 1}},
      {{500, 300}, {1, 300}},
      {{500, 300}, {500, 1}},
      {{100_003}, {1}},
      {{40, 70, 33}, {40, 1, 33}}
    };
    for (long[][] pair : pairs) {
      String shapes = Arrays.toString(pair[0]) + Arrays.toString(pair[1]);
      double n = (double) elements(pair[0]) / Math.max(1, elements(pair[1]));
      for (Reduce op : Reduce.values()) {
        for (Trial.Lie lie : Trial.Lie.values()) {
          for (DType type : List.of(F32, BF16, F16, I32)) {
            cases.add(
                new Cases(
                    op + " " + type + lie + shapes,
                    n,
                    t ->
                        t.backend.reduce(
                            op, t.in(type, lie, pair[0]), t.out(type, PLAIN, pair[1]))));
          }
        }
        cases.add(
            new Cases(
                op + " to strided" + shapes,
                n,
                t -> t.backend.reduce(op, t.in(pair[0]), t.out(F32, STRIDED, pair[1]))));
      }
    }
    for (int axis : new int[] {0, 1, 2, -1}) {
      for (Trial.Lie lie : Trial.Lie.values()) {
        for (DType type : List.of(F32, BF16, F16, I32)) {
          long[] dims = {4, 37, 5};
          long[] one = Shape.of(dims).with(axis, 1).toArray();
          add(
              cases,
              "argmax " + axis + lie + type,
              t -> t.backend.argmax(t.in(type, lie, dims), axis, t.out(I32, PLAIN, one)));
          add(
              cases,
              "cumulativeSum " + axis + lie + type,
              t -> t.backend.cumulativeSum(t.in(type, lie, dims), axis, t.out(type, lie, dims)));
        }
      }
    }
    add(cases, "argmax rows", t -> t.backend.argmax(t.in(200, 301), 1, t.out(I32, PLAIN, 200, 1)));
    for (DType type : List.of(F32, BF16, F16, I32)) {
      add(cases, "sort " + type, t -> sort(t, type, false, 60, 129));
      add(cases, "sort descending " + type, t -> sort(t, type, true, 60, 129));
      add(
          cases,
          "topK " + type,
          t ->
              t.backend.topK(
                  t.in(type, PLAIN, 50, 129), t.out(type, PLAIN, 50, 9), t.out(I32, PLAIN, 50, 9)));
    }
    add(
        cases,
        "topK all",
        t -> t.backend.topK(t.in(3, 40), t.out(3, 40), t.out(I32, PLAIN, 3, 40)));
  }

  private static long elements(long[] dims) {
    return Shape.of(dims).elements();
  }

  private static void sort(Trial t, DType type, boolean descending, long... dims) {
    t.backend.sort(
        t.in(type, PLAIN, dims), descending, t.out(type, PLAIN, dims), t.out(I32, PLAIN, dims));
  }

  private static void indexed(List<Cases> cases) {
    for (Trial.Lie lie : Trial.Lie.values()) {
      for (int axis : new int[] {0, 1, -1}) {
        for (DType type : List.of(F32, BF16, F16, I32, BOOL)) {
          add(
              cases,
              "gather " + axis + lie + type,
              t -> {
                long[] dims = Shape.of(6, 7, 8).with(axis, 11).toArray();
                NdArray indices = t.indices(Shape.of(6, 7, 8).dim(axis), dims);
                t.backend.gather(t.in(type, lie, 6, 7, 8), axis, indices, t.out(type, lie, dims));
              });
        }
        for (DType type : List.of(F32, BF16, F16)) {
          add(
              cases,
              "scatterAdd " + axis + lie + type,
              t -> {
                long[] dims = Shape.of(6, 7, 8).with(axis, 11).toArray();
                NdArray indices = t.indices(Shape.of(6, 7, 8).dim(axis), dims);
                t.backend.scatterAdd(
                    t.in(F32, lie, dims), axis, indices, t.out(type, lie, 6, 7, 8));
              });
        }
      }
    }
    add(
        cases,
        "gather rows",
        t -> {
          NdArray rows = t.indices(50, 300, 1).expand(Shape.of(300, 131));
          t.backend.gather(t.in(50, 131), 0, rows, t.out(300, 131));
        });
    add(
        cases,
        "scatterAdd rows",
        t -> {
          NdArray rows = t.indices(50, 300, 1).expand(Shape.of(300, 131));
          t.backend.scatterAdd(t.in(300, 131), 0, rows, t.out(50, 131));
        });
    for (DType type : List.of(F32, BF16, F16)) {
      add(
          cases,
          "embedding " + type,
          t ->
              t.backend.embedding(
                  t.in(type, PLAIN, 50, 131), t.indices(50, 300), t.out(type, PLAIN, 300, 131)));
      add(
          cases,
          "embeddingGradient " + type,
          t ->
              t.backend.embeddingGradient(
                  t.in(type, PLAIN, 300, 131), t.indices(50, 300), t.out(50, 131)));
    }
  }

  private static void rows(List<Cases> cases) {
    for (DType type : List.of(F32, BF16, F16)) {
      for (long[] dims : new long[][] {{1, 1}, {3, 7}, {5, 33}, {4, 1025}, {200, 131}, {0, 5}}) {
        String name = type + Arrays.toString(dims);
        add(cases, "softmax" + name, t -> softmax(t, type, 1, dims));
        add(cases, "softmax axis 0" + name, t -> softmax(t, type, 0, dims));
        add(cases, "layerNorm" + name, t -> layerNorm(t, type, true, dims));
        add(cases, "layerNorm plain" + name, t -> layerNorm(t, type, false, dims));
        add(cases, "addLayerNorm" + name, t -> addLayerNorm(t, type, true, dims));
        add(cases, "addLayerNorm plain" + name, t -> addLayerNorm(t, type, false, dims));
        add(cases, "rmsNorm" + name, t -> rmsNorm(t, type, dims));
        for (double smoothing : new double[] {0, 0.1}) {
          add(
              cases,
              "crossEntropy" + smoothing + name,
              t -> crossEntropy(t, type, smoothing, dims));
        }
      }
    }
    add(cases, "softmax axis 1 of 3", t -> t.backend.softmax(t.in(3, 40, 5), 1, t.out(3, 40, 5)));
    add(
        cases,
        "softmax far",
        t -> {
          NdArray x = t.of(F32, 1e4, -1e4, 1e4, Double.NEGATIVE_INFINITY);
          t.backend.softmax(x.reshape(Shape.of(1, 4)), 1, t.out(1, 4));
          t.backend.logSoftmax(x.reshape(Shape.of(1, 4)), 1, t.out(1, 4));
        });
    add(
        cases,
        "softmax of nothing",
        t -> {
          double low = Double.NEGATIVE_INFINITY;
          t.backend.softmax(t.of(F32, low, low).reshape(Shape.of(1, 2)), 1, t.out(1, 2));
        });
  }

  private static void softmax(Trial t, DType type, int axis, long... dims) {
    NdArray x = t.in(type, PLAIN, dims);
    NdArray y = t.out(type, PLAIN, dims);
    NdArray log = t.out(type, PLAIN, dims);
    t.backend.softmax(x, axis, y);
    t.backend.softmaxGradient(y, t.in(type, PLAIN, dims), axis, t.out(type, PLAIN, dims));
    t.backend.logSoftmax(x, axis, log);
    t.backend.logSoftmaxGradient(log, t.in(type, PLAIN, dims), axis, t.out(type, PLAIN, dims));
  }

  private static void layerNorm(Trial t, DType type, boolean affine, long... dims) {
    long columns = dims[1];
    NdArray x = t.in(type, PLAIN, dims);
    NdArray weight = affine ? t.in(columns) : null;
    NdArray bias = affine ? t.in(type, PLAIN, columns) : null;
    NdArray mean = t.out(dims[0]);
    NdArray rstd = t.out(dims[0]);
    NdArray dy = t.in(type, PLAIN, dims);
    t.backend.layerNorm(x, weight, bias, 1e-2, t.out(type, PLAIN, dims), mean, rstd);
    t.backend.layerNormGradient(
        x,
        weight,
        mean,
        rstd,
        dy,
        t.out(type, PLAIN, dims),
        t.out(columns),
        t.out(columns),
        affine);
    t.backend.layerNormGradient(x, weight, mean, rstd, dy, null, t.out(columns), null, false);
    t.backend.layerNormGradient(
        x, weight, mean, rstd, dy, t.out(type, PLAIN, dims), null, null, false);
  }

  private static void addLayerNorm(Trial t, DType type, boolean affine, long... dims) {
    long columns = dims[1];
    NdArray weight = affine ? t.in(columns) : null;
    NdArray bias = affine ? t.in(columns) : null;
    NdArray sum = t.out(type, PLAIN, dims);
    NdArray mean = t.out(dims[0]);
    NdArray rstd = t.out(dims[0]);
    NdArray dy = t.in(type, PLAIN, dims);
    NdArray skip = t.in(type, PLAIN, dims);
    t.backend.addLayerNorm(
        t.in(type, PLAIN, dims),
        t.in(F32, PLAIN, dims),
        weight,
        bias,
        1e-2,
        sum,
        t.out(type, PLAIN, dims),
        mean,
        rstd);
    NdArray dx = t.out(type, PLAIN, dims);
    t.backend.addLayerNormGradient(
        sum, weight, mean, rstd, dy, skip, dx, t.out(columns), t.out(columns), affine);
    NdArray both = t.changed(skip);
    t.backend.addLayerNormGradient(
        sum, weight, mean, rstd, dy, both, both, null, t.out(columns), false);
  }

  private static void rmsNorm(Trial t, DType type, long... dims) {
    NdArray x = t.in(type, PLAIN, dims);
    NdArray weight = t.in(dims[1]);
    NdArray rstd = t.out(dims[0]);
    t.backend.rmsNorm(x, weight, 1e-2, t.out(type, PLAIN, dims), rstd);
    t.backend.rmsNormGradient(
        x, weight, rstd, t.in(dims), t.out(type, PLAIN, dims), t.out(dims[1]), true);
    t.backend.rmsNorm(x, null, 1e-2, t.out(type, PLAIN, dims), rstd);
  }

  private static void crossEntropy(Trial t, DType type, double smoothing, long... dims) {
    var options = new CrossEntropyOptions(0, smoothing);
    NdArray x = t.in(type, PLAIN, dims);
    NdArray targets = t.indices(dims[1], dims[0]);
    NdArray sums = t.out(dims[0]);
    t.backend.crossEntropy(x, targets, options, t.out(dims[0]), sums);
    NdArray scale = t.in(1).expand(Shape.of(dims[0]));
    t.backend.crossEntropyGradient(x, targets, options, sums, scale, t.out(type, PLAIN, dims));
    t.backend.crossEntropyGradient(
        x, targets, options, sums, t.in(F32, STRIDED, dims[0]), t.changed(x));
  }

  private static void products(List<Cases> cases) {
    for (Trial.Lie lie : Trial.Lie.values()) {
      for (DType type : List.of(F32, BF16, F16)) {
        String name = lie + " " + type;
        cases.add(
            new Cases(
                "matmul " + name,
                37,
                t ->
                    t.backend.matmul(
                        t.in(type, lie, 33, 37),
                        t.in(type, lie, 37, 41),
                        t.out(type, lie, 33, 41),
                        false)));
        cases.add(
            new Cases(
                "matmul accumulate " + name,
                37,
                t ->
                    t.backend.matmul(
                        t.in(type, PLAIN, 33, 37),
                        t.in(type, lie, 37, 41),
                        t.out(F32, lie, 33, 41),
                        true)));
        cases.add(
            new Cases(
                "matmul batch " + name,
                9,
                t ->
                    t.backend.matmul(
                        t.in(type, lie, 2, 3, 7, 9),
                        t.in(type, lie, 2, 3, 9, 5),
                        t.out(type, lie, 2, 3, 7, 5),
                        false)));
        cases.add(
            new Cases(
                "matmul one right operand " + name,
                9,
                t ->
                    t.backend.matmul(
                        t.in(type, lie, 2, 3, 7, 9),
                        t.in(type, lie, 9, 5).expand(Shape.of(2, 3, 9, 5)),
                        t.out(type, lie, 2, 3, 7, 5),
                        true)));
        cases.add(
            new Cases(
                "matmul one left operand " + name,
                9,
                t ->
                    t.backend.matmul(
                        t.in(type, lie, 1, 3, 7, 9).expand(Shape.of(2, 3, 7, 9)),
                        t.in(type, lie, 2, 3, 9, 5),
                        t.out(type, PLAIN, 2, 3, 7, 5),
                        false)));
      }
    }
    cases.add(
        new Cases(
            "matmul of nothing",
            1,
            t -> t.backend.matmul(t.in(3, 0), t.in(0, 4), t.out(3, 4), false)));
    cases.add(
        new Cases(
            "matmul column",
            50,
            t -> t.backend.matmul(t.in(60, 50), t.in(50, 1), t.out(60, 1), false)));
    cases.add(
        new Cases(
            "matmul of heads",
            16,
            t -> {
              NdArray q = t.in(3, 20, 4, 16).permute(0, 2, 1, 3);
              NdArray k = t.in(3, 24, 4, 16).permute(0, 2, 3, 1);
              t.backend.matmul(q, k, t.out(3, 4, 20, 24), false);
            }));
    List<@Nullable Unary> activations = new ArrayList<>(Arrays.asList(Unary.values()));
    activations.removeAll(List.of(Unary.LOG, Unary.SQRT, Unary.RSQRT, Unary.RECIPROCAL, Unary.EXP));
    activations.add(null);
    for (Unary activation : activations) {
      for (DType type : List.of(F32, BF16, F16)) {
        cases.add(new Cases("linear " + activation + type, 64, t -> linear(t, activation, type)));
      }
    }
    for (DType type : List.of(F32, BF16, F16)) {
      for (boolean causal : new boolean[] {false, true}) {
        for (int kind = 0; kind < 3; kind++) {
          int what = kind;
          cases.add(
              new Cases(
                  "attention " + type + causal + what, 64, t -> attention(t, type, causal, what)));
        }
      }
    }
  }

  private static void linear(Trial t, @Nullable Unary activation, DType type) {
    NdArray x = t.in(type, PLAIN, 70, 64);
    NdArray w = t.in(type, TRANSPOSED, 64, 83);
    NdArray bias = t.in(83);
    NdArray before = t.out(type, PLAIN, 70, 83);
    NdArray y = t.out(type, PLAIN, 70, 83);
    t.backend.linear(x, w, bias, activation, y, before);
    t.backend.linear(x, w, null, activation, t.out(type, PLAIN, 70, 83), null);
    NdArray dy = t.changed(t.in(type, PLAIN, 70, 83));
    t.backend.biasActivationGradient(activation, before, y, dy, dy, t.out(83), true);
    t.backend.biasActivationGradient(activation, before, y, dy, dy, t.out(83), false);
    t.backend.biasActivationGradient(activation, before, y, dy, dy, null, false);
  }

  // 0: plain; 1: with a mask; 2: with dropout
  private static void attention(Trial t, DType type, boolean causal, int kind) {
    NdArray q = heads(t, type, 19, 16);
    NdArray k = heads(t, type, 23, 16);
    NdArray v = heads(t, type, 23, 8);
    NdArray mask =
        kind == 1 ? t.in(BOOL, PLAIN, 1, 1, 19, 23).expand(Shape.of(2, 3, 19, 23)) : null;
    NdArray state = t.of(I32, 1, 2, 3, 4);
    var options =
        kind == 2
            ? new AttentionOptions(causal, 0.25, 0.3, state, 7)
            : AttentionOptions.of(causal, 0.25);
    NdArray y = t.changed(heads(t, type, 19, 8));
    NdArray sums = t.out(2, 3, 19);
    t.backend.attention(q, k, v, mask, options, y, sums);
    t.backend.attentionGradient(
        q,
        k,
        v,
        mask,
        options,
        y,
        sums,
        heads(t, type, 19, 8),
        t.changed(heads(t, type, 19, 16)),
        t.changed(heads(t, type, 23, 16)),
        t.changed(heads(t, type, 23, 8)));
  }

  private static NdArray heads(Trial t, DType type, long rows, long width) {
    return t.in(type, PLAIN, 2, rows, 3, width).swapAxes(1, 2);
  }

  private static void optimizers(List<Cases> cases) {
    for (double scale : new double[] {1, 0.3, Double.NaN}) {
      add(cases, "adamW " + scale, t -> adamW(t, scale));
      add(cases, "sgd " + scale, t -> sgd(t, scale, false));
      add(cases, "sgd nesterov " + scale, t -> sgd(t, scale, true));
    }
    cases.add(
        new Cases(
            "globalNorm",
            100_000,
            t ->
                t.backend.globalNorm(
                    List.of(t.in(3), t.in(300, 301), t.in(0), t.in(BF16, PLAIN, 77)), t.out())));
    add(
        cases,
        "clipScale",
        t -> {
          for (double norm : new double[] {0.5, 3, 0, Double.NaN, Double.POSITIVE_INFINITY}) {
            NdArray x = t.of(F32, norm).reshape(Shape.scalar());
            t.backend.clipScale(x, 1.5, t.out());
          }
        });
  }

  private static void adamW(Trial t, double scale) {
    List<AdamWSlot> slots = new ArrayList<>();
    for (long n : new long[] {5, 0, 16, 40_001, 129}) {
      slots.add(
          new AdamWSlot(t.changed(t.in(n)), t.in(n), t.changed(t.in(n)), t.changed(t.positive(n))));
      NdArray p = t.changed(t.in(n));
      slots.add(
          new AdamWSlot(p, t.in(n), t.changed(t.in(n)), t.changed(t.positive(n)), copy(t, p)));
    }
    NdArray factors = factors(t, AdamWFactors.of(1e-2, 0.9, 0.99, 1e-8, 0.1, 3));
    t.backend.adamW(slots, factors, t.of(F32, scale).reshape(Shape.scalar()));
  }

  private static void sgd(Trial t, double scale, boolean nesterov) {
    List<SgdSlot> slots = new ArrayList<>();
    for (long n : new long[] {5, 40_001}) {
      slots.add(new SgdSlot(t.changed(t.in(n)), t.in(n), t.changed(t.in(n))));
      NdArray p = t.changed(t.in(n));
      slots.add(new SgdSlot(p, t.in(n), t.changed(t.in(n)), copy(t, p)));
    }
    NdArray factors = factors(t, SgdFactors.of(1e-2, 0.9, 0.1, nesterov));
    t.backend.sgd(slots, factors, t.of(F32, scale).reshape(Shape.scalar()));
  }

  private static NdArray copy(Trial t, NdArray parameter) {
    NdArray copy = t.out(BF16, PLAIN, parameter.shape().toArray());
    t.backend.copy(parameter, copy);
    return copy;
  }

  private static NdArray factors(Trial t, float[] values) {
    double[] wide = new double[values.length];
    Arrays.setAll(wide, i -> values[i]);
    return t.of(F32, wide);
  }

  private static void random(List<Cases> cases) {
    for (long n : new long[] {1, 3, 4, 31, 1025, 70_001}) {
      for (DType type : List.of(F32, BF16, F16)) {
        add(
            cases,
            "random " + type + n,
            t -> t.backend.random(t.of(I32, 5, -6, 7, -8), 3, t.out(type, PLAIN, n)));
        add(
            cases,
            "dropout " + type + n,
            t ->
                t.backend.dropout(
                    t.in(type, PLAIN, n), 0.3, t.of(I32, 5, -6, 7, -8), 3, t.out(type, PLAIN, n)));
      }
      add(
          cases,
          "random bits" + n,
          t -> {
            NdArray bits = t.in(I32, PLAIN, n);
            t.backend.random(t.of(I32, 5, -6, 7, -8), 3, bits);
            NdArray low = t.out(I32, PLAIN, n); // floats hold the bits of a byte
            t.backend.binary(Binary.MULTIPLY, bits, 1 << 24, low);
          });
    }
    add(
        cases,
        "multinomial",
        t ->
            t.backend.multinomial(
                t.positive(40, 77), t.of(I32, 1, 2, 3, 4), 1, t.out(I32, PLAIN, 40)));
    add(
        cases,
        "sliced add",
        t -> t.backend.binary(Binary.ADD, t.in(F32, SLICED, 9, 9), 1, t.out(F32, SLICED, 9, 9)));
  }
}
