package fornax.backend;

import static fornax.backend.Binary.ADD;
import static fornax.backend.Binary.DIVIDE;
import static fornax.backend.Binary.MULTIPLY;
import static fornax.backend.Binary.SUBTRACT;

import fornax.array.DType;
import fornax.array.Shape;
import org.jspecify.annotations.Nullable;

/// The default bodies of the optimisers.
final class OptimizerBody {
  private OptimizerBody() {}

  static void adamW(Backend b, AdamWSlot slot, NdArray factors, NdArray scale) {
    Shape shape = slot.parameter().shape();
    try (var work = new Workspace(b.memory())) {
      NdArray g = work.allocate(factors.dtype(), shape);
      NdArray m = work.allocate(factors.dtype(), shape);
      NdArray v = work.allocate(factors.dtype(), shape);
      b.binary(MULTIPLY, slot.gradient(), scale.expand(shape), g);
      b.binary(SUBTRACT, g, slot.firstMoment(), m);
      b.binary(MULTIPLY, m, factor(factors, AdamWFactors.REST_1, shape), m);
      b.binary(ADD, m, slot.firstMoment(), m);
      b.unary(Unary.SQUARE, g, g);
      b.binary(MULTIPLY, g, factor(factors, AdamWFactors.REST_2, shape), g);
      b.binary(MULTIPLY, slot.secondMoment(), factor(factors, AdamWFactors.BETA_2, shape), v);
      b.binary(ADD, v, g, v);
      NdArray finite = finite(b, work, scale);
      keep(b, finite, m, slot.firstMoment());
      keep(b, finite, v, slot.secondMoment());
      b.unary(Unary.SQRT, v, v);
      b.binary(MULTIPLY, v, factor(factors, AdamWFactors.ROOT_CORRECTION, shape), v);
      b.binary(ADD, v, factor(factors, AdamWFactors.EPSILON, shape), v);
      b.binary(DIVIDE, m, v, m);
      b.binary(MULTIPLY, m, factor(factors, AdamWFactors.STEP_SIZE, shape), m);
      b.binary(MULTIPLY, slot.parameter(), factor(factors, AdamWFactors.DECAY, shape), v);
      b.binary(SUBTRACT, v, m, v);
      keep(b, finite, v, slot.parameter());
    }
    refresh(b, slot.parameter(), slot.copy());
  }

  static void sgd(Backend b, SgdSlot slot, NdArray factors, NdArray scale) {
    Shape shape = slot.parameter().shape();
    try (var work = new Workspace(b.memory())) {
      NdArray g = work.allocate(factors.dtype(), shape);
      NdArray v = work.allocate(factors.dtype(), shape);
      NdArray p = work.allocate(factors.dtype(), shape);
      b.binary(MULTIPLY, slot.gradient(), scale.expand(shape), g);
      b.binary(MULTIPLY, slot.parameter(), factor(factors, SgdFactors.WEIGHT_DECAY, shape), p);
      b.binary(ADD, g, p, g);
      b.binary(MULTIPLY, slot.velocity(), factor(factors, SgdFactors.MOMENTUM, shape), v);
      b.binary(ADD, v, g, v);
      NdArray finite = finite(b, work, scale);
      keep(b, finite, v, slot.velocity());
      b.binary(MULTIPLY, v, factor(factors, SgdFactors.MOMENTUM, shape), p);
      b.binary(ADD, p, g, p);
      NdArray nesterov = work.allocate(DType.BOOL, Shape.scalar());
      b.compare(Compare.NOT_EQUAL, at(factors, SgdFactors.NESTEROV), 0, nesterov);
      b.where(nesterov.expand(shape), p, v, v);
      b.binary(MULTIPLY, v, factor(factors, SgdFactors.RATE, shape), v);
      b.binary(SUBTRACT, slot.parameter(), v, v);
      keep(b, finite, v, slot.parameter());
    }
    refresh(b, slot.parameter(), slot.copy());
  }

  private static void refresh(Backend b, NdArray parameter, @Nullable NdArray copy) {
    if (copy != null) {
      b.copy(parameter, copy);
    }
  }

  private static NdArray finite(Backend b, Workspace work, NdArray scale) {
    NdArray zero = work.allocate(scale.dtype(), scale.shape());
    NdArray finite = work.allocate(DType.BOOL, scale.shape());
    b.binary(MULTIPLY, scale, 0, zero);
    b.compare(Compare.EQUAL, zero, 0, finite);
    return finite;
  }

  private static void keep(Backend b, NdArray finite, NdArray updated, NdArray y) {
    b.where(finite.expand(y.shape()), updated, y, y);
  }

  private static NdArray at(NdArray factors, int index) {
    return factors.slice(0, index, index + 1).reshape(Shape.scalar());
  }

  private static NdArray factor(NdArray factors, int index, Shape shape) {
    return at(factors, index).expand(shape);
  }
}
