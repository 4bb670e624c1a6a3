package fornax.tensor;

import fornax.array.DType;
import fornax.backend.Backend;
import fornax.backend.NdArray;
import fornax.backend.Owner;

/// Conversion to another type or device; the gradient is converted back.
final class CastOp {
  private CastOp() {}

  static Tensor to(Tensor x, DType dtype) {
    try (var call = Call.of("to", x)) {
      if (x.dtype() == dtype) {
        return call.result(x.array(), g -> g.pass(0, g.dy()));
      }
      NdArray y = call.allocate(dtype, x.shape());
      call.backend.copy(x.array(), y);
      if (!dtype.isFloating()) {
        return call.result(y);
      }
      return call.result(
          y,
          g -> {
            NdArray dx = g.like(0);
            g.backend().copy(g.dy(), dx);
            g.give(0, dx);
          });
    }
  }

  static Tensor to(Tensor x, Backend device) {
    try (var call = Call.of("to", x)) {
      NdArray from = call.contiguous(x);
      NdArray y =
          Tensors.made(
              device,
              x.dtype(),
              x.shape(),
              Owner.ACTIVATIONS,
              to -> device.upload(call.backend.readback(from).await(), to));
      if (!call.recording) {
        return Tensor.wrap(device, y, null);
      }
      GradientRule rule =
          g -> {
            NdArray dy = g.contiguousDy();
            NdArray dx =
                Tensors.made(
                    call.backend,
                    dy.dtype(),
                    dy.shape(),
                    Owner.GRADIENTS,
                    to -> call.backend.upload(device.readback(dy).await(), to));
            try {
              g.pass(0, dx);
            } finally {
              dx.buffer().release();
            }
          };
      return Tensor.wrap(
          device, y, Node.of("to", device, y, rule, new Tensor[] {x}, new NdArray[0]));
    }
  }
}
