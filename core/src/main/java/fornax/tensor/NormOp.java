package fornax.tensor;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.backend.Backend;
import fornax.backend.Binary;
import fornax.backend.NdArray;
import org.jspecify.annotations.Nullable;

/// Layer and RMS normalisation over the last axes; gradients as in [fornax.backend.Backend].
final class NormOp {
  private NormOp() {}

  static Tensor layerNorm(
      Tensor x, int axes, @Nullable Tensor weight, @Nullable Tensor bias, double epsilon) {
    try (var call = Call.of("layerNorm", inputs(x, weight, bias))) {
      Shape rows = rows(call, x, axes, weight, bias);
      NdArray flat = call.contiguous(x).reshape(rows);
      var norm = new LayerNorm(call, flat, weight, bias);
      NdArray y = call.allocate(x.dtype(), x.shape());
      call.backend.layerNorm(flat, norm.w, norm.b, epsilon, y.reshape(rows), norm.mean, norm.rstd);
      return norm.result(y);
    }
  }

  static Residual addLayerNorm(
      Tensor x,
      Tensor addend,
      int axes,
      @Nullable Tensor weight,
      @Nullable Tensor bias,
      double epsilon) {
    try (var add = Call.of("addLayerNorm", x, addend)) {
      Shape rows = rows(add, x, axes, weight, bias);
      if (!x.shape().equals(addend.shape())) {
        throw new ShapeException(
            add.op
                + ": different shapes; got x "
                + x.shape()
                + " and addend "
                + addend.shape()
                + "; need one shape; expand the smaller one");
      }
      NdArray a = add.contiguous(x).reshape(rows);
      NdArray b = add.contiguous(addend).reshape(rows);
      NdArray s = add.allocate(BinaryOp.common(add.op, Binary.ADD, x, addend), x.shape());
      Tensor sum =
          add.pending(
              s,
              g -> {
                g.pass(0, g.dy());
                g.pass(1, g.dy());
              });
      try (var call = Call.of(add.op, inputs(sum, weight, bias))) {
        NdArray flat = s.reshape(rows);
        var norm = new LayerNorm(call, flat, weight, bias);
        NdArray y = call.allocate(s.dtype(), s.shape());
        call.backend.addLayerNorm(
            a, b, norm.w, norm.b, epsilon, flat, y.reshape(rows), norm.mean, norm.rstd);
        add.check(s);
        return new Residual(sum, norm.result(y));
      } catch (RuntimeException | Error e) {
        sum.close();
        throw e;
      }
    }
  }

  /// The arrays of a layer norm of `flat [N, C]` and its gradient rule.
  private static final class LayerNorm {
    private final Call call;
    private final NdArray flat;
    private final @Nullable NdArray w;
    private final @Nullable NdArray b;
    private final NdArray mean;
    private final NdArray rstd;
    private final int biasInput;

    LayerNorm(Call call, NdArray flat, @Nullable Tensor weight, @Nullable Tensor bias) {
      this.call = call;
      this.flat = flat;
      w = row(call, weight);
      b = row(call, bias);
      DType type = Backend.arithmetic(flat);
      mean = call.allocate(type, Shape.of(flat.dim(0)));
      rstd = call.allocate(type, Shape.of(flat.dim(0)));
      biasInput = bias == null ? -1 : weight == null ? 1 : 2;
    }

    Tensor result(NdArray y) {
      return w == null
          ? call.result(y, this::gradient, flat, mean, rstd)
          : call.result(y, this::gradient, flat, mean, rstd, w);
    }

    // Where x has a gradient already, from the connection round the norm, this adds to it.
    private void gradient(Backprop g) {
      Shape rows = g.saved(0).shape();
      NdArray x = g.saved(0);
      NdArray weight = w == null ? null : g.saved(3);
      NdArray dy = g.contiguousDy().reshape(rows);
      Backprop.@Nullable Target dw = w == null || !g.wants(1) ? null : g.rowMajorTarget(1);
      Backprop.@Nullable Target db =
          biasInput < 0 || !g.wants(biasInput) ? null : g.rowMajorTarget(biasInput);
      boolean accumulate = zeroIfOneIsNew(g, dw, db);
      NdArray skip = g.wants(0) ? g.gradientSoFar(0) : null;
      if (skip != null) {
        NdArray dx = g.sumTarget(0);
        g.backend()
            .addLayerNormGradient(
                x,
                weight,
                g.saved(1),
                g.saved(2),
                dy,
                skip.reshape(rows),
                dx.reshape(rows),
                row(dw),
                row(db),
                accumulate);
        g.replace(0, dx);
        return;
      }
      NdArray dx = g.wants(0) ? g.like(0) : null;
      g.backend()
          .layerNormGradient(
              x,
              weight,
              g.saved(1),
              g.saved(2),
              dy,
              dx == null ? null : dx.reshape(rows),
              row(dw),
              row(db),
              accumulate);
      if (dx != null) {
        g.give(0, dx);
      }
    }
  }

  static Tensor rmsNorm(Tensor x, int axes, @Nullable Tensor weight, double epsilon) {
    try (var call = Call.of("rmsNorm", inputs(x, weight, null))) {
      Shape rows = rows(call, x, axes, weight, null);
      NdArray flat = call.contiguous(x).reshape(rows);
      NdArray y = call.allocate(x.dtype(), x.shape());
      NdArray rstd = call.allocate(Backend.arithmetic(x.array()), Shape.of(rows.dim(0)));
      NdArray w = row(call, weight);
      call.backend.rmsNorm(flat, w, epsilon, y.reshape(rows), rstd);
      GradientRule rule =
          g -> {
            NdArray dx = g.wants(0) ? g.like(0) : null;
            Backprop.@Nullable Target dw =
                weight == null || !g.wants(1) ? null : g.rowMajorTarget(1);
            g.backend()
                .rmsNormGradient(
                    g.saved(0),
                    w == null ? null : g.saved(2),
                    g.saved(1),
                    g.contiguousDy().reshape(rows),
                    dx == null ? null : dx.reshape(rows),
                    row(dw),
                    dw != null && dw.accumulate());
            if (dx != null) {
              g.give(0, dx);
            }
          };
      return w == null ? call.result(y, rule, flat, rstd) : call.result(y, rule, flat, rstd, w);
    }
  }

  private static Tensor[] inputs(Tensor x, @Nullable Tensor weight, @Nullable Tensor bias) {
    if (weight == null) {
      return bias == null ? new Tensor[] {x} : new Tensor[] {x, bias};
    }
    return bias == null ? new Tensor[] {x, weight} : new Tensor[] {x, weight, bias};
  }

  // [rows, columns]: the axes before and those that are normalised.
  private static Shape rows(
      Call call, Tensor x, int axes, @Nullable Tensor weight, @Nullable Tensor bias) {
    call.needFloating(x);
    if (axes < 1 || axes > x.rank()) {
      throw new ShapeException(
          call.op
              + ": wrong number of axes; got "
              + axes
              + " of "
              + x.shape()
              + "; need 1 to "
              + x.rank());
    }
    Shape normal = x.shape().trailing(axes);
    for (Tensor parameter : new @Nullable Tensor[] {weight, bias}) {
      if (parameter != null) {
        call.needFloating(parameter);
      }
      if (parameter != null && !parameter.shape().equals(normal)) {
        throw new ShapeException(
            call.op
                + ": weight or bias does not fit; got "
                + parameter.shape()
                + " for x "
                + x.shape()
                + "; need "
                + normal);
      }
    }
    long columns = normal.elements();
    return Shape.of(columns == 0 ? 0 : x.elements() / columns, columns);
  }

  private static @Nullable NdArray row(Call call, @Nullable Tensor parameter) {
    return parameter == null
        ? null
        : call.contiguous(parameter).reshape(Shape.of(parameter.elements()));
  }

  private static @Nullable NdArray row(Backprop.@Nullable Target target) {
    return target == null ? null : target.array().reshape(Shape.of(target.array().elements()));
  }

  // One flag serves both parameters: where only one has a gradient already, the other starts from
  // zero.
  static boolean zeroIfOneIsNew(
      Backprop g, Backprop.@Nullable Target a, Backprop.@Nullable Target b) {
    boolean accumulate = a != null && a.accumulate() || b != null && b.accumulate();
    for (Backprop.@Nullable Target target : new Backprop.@Nullable Target[] {a, b}) {
      if (accumulate && target != null && !target.accumulate()) {
        g.backend().fill(target.array(), 0);
      }
    }
    return accumulate;
  }
}
