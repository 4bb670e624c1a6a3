package fornax.nn;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.backend.Backend;
import fornax.backend.NdArray;
import fornax.tensor.AttentionSpec;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;

/// The keys and values of the positions that attention has seen, so that the next position computes
/// its own alone. Shapes: `[B, H, capacity, D]` each, of which the first [#length()] positions are
/// filled. For evaluation: no gradient flows through it.
public final class KeyValueCache implements AttentionCache, AutoCloseable {
  private final Tensor keys;
  private final Tensor values;
  private long length;

  /// An empty cache.
  ///
  /// @param type of the keys and values: what the model computes in
  /// @param shape `[B, H, capacity, D]`
  public KeyValueCache(Backend backend, DType type, Shape shape) {
    if (shape.rank() != 4) {
      throw new ShapeException("cache: wrong rank; got " + shape + "; need [B, H, capacity, D]");
    }
    keys = Tensors.on(backend).zeros(type, shape).escape();
    values = Tensors.on(backend).zeros(type, shape).escape();
  }

  /// The number of positions that are filled.
  public long length() {
    return length;
  }

  /// The number of positions that there is room for.
  public long capacity() {
    return keys.dim(2);
  }

  /// Adds the keys and values of the next positions. Shapes: `k, v [B, H, T, D]`, of any layout.
  ///
  /// @throws ShapeException if there is no room for them, or the other axes differ
  public void append(Tensor k, Tensor v) {
    long end = length + k.dim(2);
    if (end > capacity() || !k.shape().with(2, capacity()).equals(keys.shape())) {
      throw new ShapeException(
          "cache: keys do not fit; got "
              + k.shape()
              + " after "
              + length
              + " positions; need room in "
              + keys.shape());
    }
    write(k, keys, end);
    write(v, values, end);
    length = end;
  }

  private void write(Tensor from, Tensor to, long end) {
    NdArray part = to.array().slice(2, length, end); // [B, H, T, D]
    to.backend().copy(from.array(), part);
    part.buffer().changed();
  }

  @Override
  public Tensor attend(Tensor q, Tensor k, Tensor v) {
    append(k, v);
    return Tensor.attention(q, keys(), values(), AttentionSpec.CAUSAL);
  }

  /// Forgets all positions.
  public void clear() {
    length = 0;
  }

  /// The keys of all filled positions, a view in the caller's scope: `[B, H, length, D]`.
  public Tensor keys() {
    return keys.slice(2, 0, length);
  }

  /// The values of all filled positions, a view in the caller's scope: `[B, H, length, D]`.
  public Tensor values() {
    return values.slice(2, 0, length);
  }

  /// Gives the memory back.
  @Override
  public void close() {
    keys.close();
    values.close();
  }
}
