package fornax.tensor;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.backend.AttentionOptions;
import fornax.backend.Backend;
import fornax.backend.NdArray;
import org.jspecify.annotations.Nullable;

/// Scaled dot-product attention: from queries, keys and values, or from the one projection `[B, T,
/// 3C]` that holds all three, whose parts are then read, and whose gradient is written, in place.
final class AttentionOp {
  private AttentionOp() {}

  static Tensor attention(Tensor q, Tensor k, Tensor v, AttentionSpec spec) {
    Tensor mask = spec.mask();
    try (var call =
        Call.of(
            "attention", mask == null ? new Tensor[] {q, k, v} : new Tensor[] {q, k, v, mask})) {
      check(call, q, k, v);
      NdArray qa = unitStride(call, q);
      NdArray ka = unitStride(call, k);
      NdArray va = unitStride(call, v);
      Run run = Run.of(call, qa, ka, spec);
      NdArray y = call.allocate(q.dtype(), q.shape().with(-1, v.dim(-1)));
      call.backend.attention(qa, ka, va, run.mask, run.options, y, run.logSumExp);
      GradientRule rule =
          g -> {
            NdArray dq = g.allocate(q.dtype(), qa.shape());
            NdArray dk = g.allocate(k.dtype(), ka.shape());
            NdArray dv = g.allocate(v.dtype(), va.shape());
            run.gradient(
                g, g.saved(0), g.saved(1), g.saved(2), g.saved(3), g.contiguousDy(), dq, dk, dv);
            g.give(0, dq);
            g.give(1, dk);
            g.give(2, dv);
          };
      return run.result(call, y, rule, qa, ka, va, y);
    }
  }

  static Tensor selfAttention(Tensor qkv, int heads, AttentionSpec spec) {
    Tensor mask = spec.mask();
    try (var call =
        Call.of("selfAttention", mask == null ? new Tensor[] {qkv} : new Tensor[] {qkv, mask})) {
      call.needFloating(qkv);
      if (qkv.rank() != 3 || heads < 1 || qkv.dim(2) % (3L * heads) != 0) {
        throw new ShapeException(
            "selfAttention: not queries, keys and values of all heads; got "
                + qkv.shape()
                + " for "
                + heads
                + " heads; need [B, T, 3·heads·D]");
      }
      NdArray packed = call.contiguous(qkv);
      NdArray[] parts = parts(packed, heads);
      Run run = Run.of(call, parts[0], parts[1], spec);
      long width = qkv.dim(2) / 3;
      NdArray y = call.allocate(qkv.dtype(), qkv.shape().with(-1, width));
      NdArray byHeads = heads(y, heads);
      call.backend.attention(
          parts[0], parts[1], parts[2], run.mask, run.options, byHeads, run.logSumExp);
      GradientRule rule =
          g -> {
            NdArray d = g.like(0);
            NdArray[] saved = parts(g.saved(0), heads);
            NdArray[] grads = parts(d, heads);
            run.gradient(
                g,
                saved[0],
                saved[1],
                saved[2],
                heads(g.saved(1), heads),
                heads(g.contiguousDy(), heads),
                grads[0],
                grads[1],
                grads[2]);
            g.give(0, d);
          };
      return run.result(call, y, rule, packed, y);
    }
  }

  // [B, T, 3C] -> three views [B, H, T, D]
  private static NdArray[] parts(NdArray packed, int heads) {
    long width = packed.dim(2) / 3;
    NdArray[] parts = new NdArray[3];
    for (int i = 0; i < 3; i++) {
      parts[i] = heads(packed.slice(2, i * width, (i + 1) * width), heads);
    }
    return parts;
  }

  // [B, T, C] -> a view [B, H, T, D]
  private static NdArray heads(NdArray x, int heads) {
    return x.reshape(Shape.of(x.dim(0), x.dim(1), heads, x.dim(2) / heads)).swapAxes(1, 2);
  }

  private static NdArray unitStride(Call call, Tensor x) {
    return x.dim(-1) <= 1 || x.array().layout().stride(-1) == 1 ? x.array() : call.contiguous(x);
  }

  private static void check(Call call, Tensor q, Tensor k, Tensor v) {
    call.needFloating(q);
    call.need(q.dtype(), "k", k);
    call.need(q.dtype(), "v", v);
    boolean fits =
        q.rank() == 4
            && k.rank() == 4
            && v.rank() == 4
            && q.shape().leading(2).equals(k.shape().leading(2))
            && k.shape().leading(3).equals(v.shape().leading(3))
            && q.dim(3) == k.dim(3);
    if (!fits) {
      throw new ShapeException(
          "attention: q, k and v do not fit; got q "
              + q.shape()
              + ", k "
              + k.shape()
              + ", v "
              + v.shape()
              + "; need q [B, H, Tq, D], k [B, H, Tk, D], v [B, H, Tk, E]");
    }
  }

  /// What the forward and the gradient have in common.
  private record Run(AttentionOptions options, @Nullable NdArray mask, NdArray logSumExp) {
    static Run of(Call call, NdArray q, NdArray k, AttentionSpec spec) {
      Double scale = spec.scale();
      Generator generator = spec.dropout() > 0 ? spec.generator() : null;
      AttentionOptions options =
          new AttentionOptions(
              spec.causal(),
              scale != null ? scale : 1 / Math.sqrt(q.dim(3)),
              generator == null ? 0 : spec.dropout(),
              generator == null ? null : generator.state(call.op, call.backend),
              generator == null ? 0 : generator.nextStream());
      Tensor mask = spec.mask();
      NdArray expanded = null;
      if (mask != null) {
        call.need(DType.BOOL, "the mask", mask);
        expanded = mask.array().expand(Shape.of(q.dim(0), q.dim(1), q.dim(2), k.dim(2)));
      }
      return new Run(options, expanded, call.allocate(Backend.arithmetic(q), q.shape().leading(3)));
    }

    // Saves `saved`, then the log-sum-exp, then the mask and the random state where there are any.
    Tensor result(Call call, NdArray y, GradientRule rule, NdArray... saved) {
      int more = 1 + (mask == null ? 0 : 1) + (options.state() == null ? 0 : 1);
      NdArray[] all = java.util.Arrays.copyOf(saved, saved.length + more);
      int n = saved.length;
      all[n++] = logSumExp;
      if (mask != null) {
        all[n++] = mask;
      }
      NdArray state = options.state();
      if (state != null) {
        all[n] = state;
      }
      return call.result(y, rule, all);
    }

    void gradient(
        Backprop g,
        NdArray q,
        NdArray k,
        NdArray v,
        NdArray y,
        NdArray dy,
        NdArray dq,
        NdArray dk,
        NdArray dv) {
      g.checkSaved();
      g.backend().attentionGradient(q, k, v, mask, options, y, logSumExp, dy, dq, dk, dv);
    }
  }
}
