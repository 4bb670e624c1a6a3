package fornax.array;

import java.util.Random;
import java.util.stream.LongStream;

/// Layouts as views make them: permuted, sliced, expanded, with axes of size 1 and, now and then,
/// 0.
final class RandomLayouts {
  private final Random random;

  RandomLayouts(long seed) {
    random = new Random(seed);
  }

  Layout next() {
    int rank = random.nextInt(5);
    long[] dims = new long[rank];
    for (int axis = 0; axis < rank; axis++) {
      dims[axis] = random.nextInt(20) == 0 ? 0 : 1 + random.nextInt(4);
    }
    return view(Layout.of(Shape.of(dims)));
  }

  /// A layout of the shape `shape` with strides of its own.
  Layout of(Shape shape) {
    long[] dims = shape.toArray();
    for (int axis = 0; axis < dims.length; axis++) {
      dims[axis] += random.nextInt(3);
    }
    Layout layout = Layout.of(Shape.of(dims));
    for (int axis = 0; axis < dims.length; axis++) {
      long start = random.nextLong(dims[axis] - shape.dim(axis) + 1);
      layout = layout.slice(axis, start, start + shape.dim(axis));
    }
    return layout;
  }

  private Layout view(Layout layout) {
    for (int step = random.nextInt(4); step > 0 && layout.shape().rank() > 0; step--) {
      int rank = layout.shape().rank();
      int axis = random.nextInt(rank);
      long dim = layout.shape().dim(axis);
      layout =
          switch (random.nextInt(3)) {
            case 0 -> layout.swapAxes(axis, random.nextInt(rank));
            case 1 -> {
              long start = dim == 0 ? 0 : random.nextLong(dim);
              yield layout.slice(axis, start, dim);
            }
            default ->
                dim == 1
                    ? layout.expand(layout.shape().with(axis, 1 + random.nextInt(3)))
                    : layout.slice(axis, 0, Math.min(dim, 1));
          };
    }
    return layout;
  }

  /// Another shape of as many elements.
  Shape regrouped(Shape shape) {
    long left = shape.elements();
    LongStream.Builder dims = LongStream.builder();
    if (left == 0) {
      return Shape.of(2, 0, 3);
    }
    while (left > 1) {
      long dim = random.nextLong(Math.min(left, 12)) + 1;
      if (left % dim == 0) {
        dims.add(dim);
        left /= dim;
      }
    }
    return Shape.of(dims.build().toArray());
  }
}
