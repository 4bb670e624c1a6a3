package fornax.tensor;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.backend.Backend;
import fornax.backend.Binary;
import fornax.backend.Compare;
import fornax.backend.CrossEntropyOptions;
import fornax.backend.NdArray;
import fornax.backend.Owner;
import fornax.backend.Reduce;
import org.jspecify.annotations.Nullable;

/// Cross entropy of logits against class indices. The gradient is written over the logits where
/// nobody else holds them; the linear form never holds more logits than a chunk's.
final class CrossEntropyOp {
  private CrossEntropyOp() {}

  static Tensor apply(Tensor logits, Tensor targets, LossOptions options) {
    try (var call = Call.of("crossEntropy", logits, targets)) {
      call.needFloating(logits);
      check(call, logits.shape(), targets);
      Shape rows = Shape.of(targets.elements(), logits.dim(-1));
      NdArray x = call.contiguous(logits).reshape(rows);
      NdArray t = call.contiguous(targets).reshape(Shape.of(rows.dim(0)));
      DType type = Backend.arithmetic(x);
      NdArray logSumExp = call.allocate(type, t.shape());
      NdArray losses = call.allocate(type, t.shape());
      CrossEntropyOptions inner = options.forBackend();
      call.backend.crossEntropy(x, t, inner, losses, logSumExp);
      NdArray count = options.reduction() == Reduction.MEAN ? count(call, t, inner, type) : null;
      NdArray y =
          options.reduction() == Reduction.NONE
              ? losses.reshape(targets.shape())
              : total(call, losses, count);
      GradientRule rule =
          g -> {
            NdArray dLosses = dLosses(g, t.shape(), count == null ? null : g.saved(3));
            NdArray donated = g.donated(0);
            NdArray dx = donated != null ? donated : g.allocate(x.dtype(), rows);
            g.backend()
                .crossEntropyGradient(g.saved(0), g.saved(1), inner, g.saved(2), dLosses, dx);
            g.give(0, dx.reshape(g.shape(0)));
          };
      return count == null
          ? call.result(y, rule, x, t, logSumExp)
          : call.result(y, rule, x, t, logSumExp, count);
    }
  }

  private static void check(Call call, Shape logits, Tensor targets) {
    call.need(DType.I32, "the targets", targets);
    if (logits.rank() == 0 || !logits.leading(-1).equals(targets.shape())) {
      throw new ShapeException(
          call.op
              + ": logits and targets do not fit; got logits "
              + logits
              + " and targets "
              + targets.shape()
              + "; need logits [.., classes] and targets [..]");
    }
  }

  // How many targets are not ignored, as a scalar on the device.
  private static NdArray count(
      Call call, NdArray targets, CrossEntropyOptions options, DType type) {
    NdArray counts = call.temporary(DType.BOOL, targets.shape());
    NdArray ones = call.temporary(type, targets.shape());
    NdArray count = call.allocate(type, Shape.of(1));
    call.backend.compare(Compare.NOT_EQUAL, targets, options.ignoreIndex(), counts);
    call.backend.copy(counts, ones);
    call.backend.reduce(Reduce.SUM, ones, count);
    return count.reshape(Shape.scalar());
  }

  // The sum of the losses, divided by `count` if given.
  private static NdArray total(Call call, NdArray losses, @Nullable NdArray count) {
    NdArray sum = call.allocate(losses.dtype(), Shape.of(1));
    call.backend.reduce(Reduce.SUM, losses, sum);
    NdArray y = sum.reshape(Shape.scalar());
    if (count != null) {
      call.backend.binary(Binary.DIVIDE, y, count, y);
    }
    return y;
  }

  // dy as it reaches each row: as it is, or divided by the count.
  private static NdArray dLosses(Backprop g, Shape rows, @Nullable NdArray count) {
    NdArray dy = g.contiguousDy();
    if (dy.elements() == rows.elements() && dy.rank() > 0) {
      return dy.reshape(rows);
    }
    return scale(g, dy, count).expand(rows);
  }

  private static NdArray scale(Backprop g, NdArray dy, @Nullable NdArray count) {
    if (count == null) {
      return dy;
    }
    NdArray scaled = g.temporary(dy.dtype(), Shape.scalar());
    g.backend().binary(Binary.DIVIDE, dy, count, scaled);
    return scaled;
  }

  /// The loss of `x·w` without holding all its logits: each chunk of rows makes its logits, its
  /// losses and, where gradients are recorded, its part of `dx` and `dw`, all for a `dy` of 1;
  /// backward multiplies them by the `dy` that comes, if it is another. In F16 they are made for a
  /// `dy` of [Chunks#F16_SEED] times the count, by which backward divides: 1/count would leave
  /// nothing of them.
  static Tensor linear(Tensor x, Tensor w, Tensor targets, LossOptions options) {
    if (options.reduction() == Reduction.NONE) {
      return apply(x.matmul(w), targets, options);
    }
    try (var call = Call.of("linearCrossEntropy", x, w, targets)) {
      call.needFloating(x);
      call.needFloating(w);
      if (x.rank() == 0 || w.rank() != 2 || x.dim(-1) != w.dim(0)) {
        throw new ShapeException(
            "linearCrossEntropy: x and w do not fit; got x "
                + x.shape()
                + " and w "
                + w.shape()
                + "; need x [.., K] and w [K, C]");
      }
      check(call, x.shape().with(-1, w.dim(1)), targets);
      Chunks chunks = new Chunks(call, x, w, targets, options);
      chunks.run();
      NdArray y = total(call, chunks.losses, chunks.count);
      NdArray none = y; // stands for a gradient that is not wanted
      NdArray dx = chunks.dx != null ? chunks.dx : none;
      NdArray dw = chunks.dw != null ? chunks.dw : none;
      return x.dtype() == DType.F16
          ? call.result(y, Chunks::gradientInF16, dx, dw, chunks.divisor(call))
          : call.result(y, Chunks::gradient, dx, dw);
    }
  }

  private static final class Chunks {
    /// A probability below 2⁻¹⁴ loses bits in F16, and one of 50,000 classes is: with this it keeps
    /// them down to 2⁻²², and dx stays below 65504 while no weight exceeds 128.
    static final double F16_SEED = 256;

    final Call call;
    final DType type;
    final NdArray x;
    final NdArray w;
    final NdArray targets;
    final NdArray losses;
    final CrossEntropyOptions options;
    final @Nullable NdArray count; // by which the sum of the losses is divided
    final @Nullable NdArray dx;
    final @Nullable NdArray dw;

    Chunks(Call call, Tensor x, Tensor w, Tensor targets, LossOptions options) {
      this.call = call;
      this.options = options.forBackend();
      this.x = call.contiguous(x).reshape(Shape.of(targets.elements(), x.dim(-1)));
      this.w = w.array();
      this.targets = call.contiguous(targets).reshape(Shape.of(targets.elements()));
      this.type = Backend.arithmetic(this.x);
      this.losses = call.allocate(type, this.targets.shape());
      this.count =
          options.reduction() == Reduction.MEAN
              ? CrossEntropyOp.count(call, this.targets, this.options, type)
              : null;
      this.dx =
          call.recording && x.requiresGrad() ? call.allocate(x.dtype(), this.x.shape()) : null;
      this.dw =
          call.recording && w.requiresGrad()
              ? gradientLike(call, this.w, Node.gradientType(w))
              : null;
    }

    // In the order of w's memory: w may be a transposed table.
    private static NdArray gradientLike(Call call, NdArray w, DType type) {
      boolean transposed = !w.isContiguous() && w.transpose().isContiguous();
      NdArray dw =
          transposed
              ? call.allocate(type, w.transpose().shape()).transpose()
              : call.allocate(type, w.shape());
      dw.buffer().setOwner(Owner.GRADIENTS);
      return dw;
    }

    void run() {
      long rows = x.dim(0);
      long classes = w.dim(1);
      long pitch = call.backend.rowPitch(classes);
      long step = Math.max(1, Math.min(rows, call.backend.chunkElements() / Math.max(1, pitch)));
      NdArray logits = call.temporary(x.dtype(), Shape.of(step, pitch)).slice(1, 0, classes);
      NdArray logSumExp = call.temporary(type, Shape.of(step));
      NdArray dLoss = call.temporary(type, Shape.scalar());
      boolean later = x.dtype() == DType.F16;
      call.backend.fill(dLoss, later ? F16_SEED : 1);
      if (count != null && !later) {
        call.backend.binary(Binary.DIVIDE, dLoss, count, dLoss);
      }
      if (dw != null && rows == 0) {
        call.backend.fill(dw, 0);
      }
      for (long start = 0; start < rows; start += step) {
        long end = Math.min(rows, start + step);
        NdArray part = x.slice(0, start, end);
        NdArray z = logits.slice(0, 0, end - start);
        NdArray t = targets.slice(0, start, end);
        NdArray lse = logSumExp.slice(0, 0, end - start);
        call.backend.matmul(part, w, z, false);
        call.backend.crossEntropy(z, t, options, losses.slice(0, start, end), lse);
        if (dx != null || dw != null) {
          call.backend.crossEntropyGradient(z, t, options, lse, dLoss.expand(t.shape()), z);
        }
        if (dx != null) {
          call.backend.matmul(z, w.transpose(), dx.slice(0, start, end), false);
        }
        if (dw != null) {
          call.backend.matmul(part.transpose(), z, dw, start > 0);
        }
      }
    }

    /// What backward divides by in F16.
    NdArray divisor(Call call) {
      NdArray divisor = call.allocate(type, Shape.scalar());
      call.backend.fill(divisor, F16_SEED);
      if (count != null) {
        call.backend.binary(Binary.MULTIPLY, count, divisor, divisor);
      }
      return divisor;
    }

    static void gradientInF16(Backprop g) {
      NdArray scale = scale(g, g.dy(), g.saved(2));
      for (int input = 0; input < 2; input++) {
        if (g.wants(input)) {
          NdArray d = g.saved(input);
          g.backend().binary(Binary.MULTIPLY, d, scale.expand(d.shape()), d);
          g.pass(input, d.shape().equals(g.shape(input)) ? d : d.reshape(g.shape(input)));
        }
      }
    }

    static void gradient(Backprop g) {
      for (int input = 0; input < 2; input++) {
        if (g.wants(input)) {
          NdArray d = g.saved(input);
          if (!g.isDyOne()) {
            g.backend().binary(Binary.MULTIPLY, d, g.dy().expand(d.shape()), d);
          }
          g.pass(input, d.shape().equals(g.shape(input)) ? d : d.reshape(g.shape(input)));
        }
      }
    }
  }
}
