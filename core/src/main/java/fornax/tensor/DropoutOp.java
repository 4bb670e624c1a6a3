package fornax.tensor;

import fornax.backend.NdArray;

/// Dropout, its own gradient: the mask is made again from the same random words.
final class DropoutOp {
  private DropoutOp() {}

  static Tensor apply(Tensor x, double p, Generator generator) {
    check("dropout", p);
    try (var call = Call.of("dropout", x)) {
      call.needFloating(x);
      if (p == 0) {
        return call.result(x.array(), g -> g.pass(0, g.dy()));
      }
      NdArray state = generator.state(call.op, call.backend);
      int stream = generator.nextStream();
      NdArray y = call.allocate(x.dtype(), x.shape());
      call.backend.dropout(call.contiguous(x), p, state, stream, y);
      return call.result(
          y,
          g -> {
            NdArray dx = g.like(0);
            g.backend().dropout(g.contiguousDy(), p, g.saved(0), stream, dx);
            g.give(0, dx);
          },
          state);
    }
  }

  static void check(String op, double p) {
    if (!(p >= 0 && p < 1)) {
      throw new IllegalArgumentException(op + ": probability outside [0, 1); got " + p);
    }
  }
}
