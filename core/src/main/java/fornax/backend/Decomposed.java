package fornax.backend;

import java.lang.foreign.MemorySegment;

/// A backend with all its fused operations taken apart into primitives: the oracle for its fused
/// kernels, on its own device.
public final class Decomposed implements Backend {
  private final Primitives inner;

  public Decomposed(Primitives inner) {
    this.inner = inner;
  }

  @Override
  public String id() {
    return inner.id();
  }

  @Override
  public Memory memory() {
    return inner.memory();
  }

  @Override
  public void upload(MemorySegment source, NdArray y) {
    inner.upload(source, y);
  }

  @Override
  public Readback readback(NdArray x) {
    return inner.readback(x);
  }

  @Override
  public void copy(NdArray x, NdArray y) {
    inner.copy(x, y);
  }

  @Override
  public void fill(NdArray y, double value) {
    inner.fill(y, value);
  }

  @Override
  public void range(NdArray y, double start, double step) {
    inner.range(y, start, step);
  }

  @Override
  public void unary(Unary op, NdArray x, NdArray y) {
    inner.unary(op, x, y);
  }

  @Override
  public void binary(Binary op, NdArray a, NdArray b, NdArray y) {
    inner.binary(op, a, b, y);
  }

  @Override
  public void binary(Binary op, NdArray a, double b, NdArray y) {
    inner.binary(op, a, b, y);
  }

  @Override
  public void compare(Compare op, NdArray a, NdArray b, NdArray y) {
    inner.compare(op, a, b, y);
  }

  @Override
  public void compare(Compare op, NdArray a, double b, NdArray y) {
    inner.compare(op, a, b, y);
  }

  @Override
  public void where(NdArray condition, NdArray a, NdArray b, NdArray y) {
    inner.where(condition, a, b, y);
  }

  @Override
  public void reduce(Reduce op, NdArray x, NdArray y) {
    inner.reduce(op, x, y);
  }

  @Override
  public void argmax(NdArray x, int axis, NdArray y) {
    inner.argmax(x, axis, y);
  }

  @Override
  public void cumulativeSum(NdArray x, int axis, NdArray y) {
    inner.cumulativeSum(x, axis, y);
  }

  @Override
  public void sort(NdArray x, boolean descending, NdArray values, NdArray indices) {
    inner.sort(x, descending, values, indices);
  }

  @Override
  public void matmul(NdArray a, NdArray b, NdArray y, boolean accumulate) {
    inner.matmul(a, b, y, accumulate);
  }

  @Override
  public void gather(NdArray x, int axis, NdArray indices, NdArray y) {
    inner.gather(x, axis, indices, y);
  }

  @Override
  public void scatterAdd(NdArray x, int axis, NdArray indices, NdArray y) {
    inner.scatterAdd(x, axis, indices, y);
  }

  @Override
  public void random(NdArray state, int stream, NdArray y) {
    inner.random(state, stream, y);
  }

  @Override
  public void synchronize() {
    inner.synchronize();
  }

  @Override
  public void close() {
    inner.close();
  }
}
