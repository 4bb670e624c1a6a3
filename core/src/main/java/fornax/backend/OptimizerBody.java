package fornax.backend;

import static fornax.backend.Binary.ADD;
import static fornax.backend.Binary.DIVIDE;
import static fornax.backend.Binary.MULTIPLY;
import static fornax.backend.Binary.SUBTRACT;

import fornax.array.DType;
import fornax.array.Shape;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// The default bodies of the optimisers.
final class OptimizerBody {
  private OptimizerBody() {}

  // All temporaries are allocated before the first slot changes: a step is done whole or not at
  // all.
  static void adamW(Backend b, List<AdamWSlot> slots, NdArray factors, NdArray scale) {
    try (var work = new Workspace(b.memory())) {
      Shape largest = largest(slots.stream().map(AdamWSlot::parameter));
      NdArray[] temporaries = new NdArray[3];
      Arrays.setAll(temporaries, _ -> work.allocate(factors.dtype(), largest));
      NdArray finite = finite(b, work, scale);
      for (AdamWSlot slot : slots) {
        adamW(b, slot, factors, scale, finite, parts(temporaries, slot.parameter().shape()));
      }
    }
  }

  private static void adamW(
      Backend b,
      AdamWSlot slot,
      NdArray factors,
      NdArray scale,
      NdArray finite,
      NdArray[] temporaries) {
    Shape shape = slot.parameter().shape();
    NdArray g = temporaries[0];
    NdArray m = temporaries[1];
    NdArray v = temporaries[2];
    b.binary(MULTIPLY, slot.gradient(), scale.expand(shape), g);
    b.binary(SUBTRACT, g, slot.firstMoment(), m);
    b.binary(MULTIPLY, m, factor(factors, AdamWFactors.REST_1, shape), m);
    b.binary(ADD, m, slot.firstMoment(), m);
    b.unary(Unary.SQUARE, g, g);
    b.binary(MULTIPLY, g, factor(factors, AdamWFactors.REST_2, shape), g);
    b.binary(MULTIPLY, slot.secondMoment(), factor(factors, AdamWFactors.BETA_2, shape), v);
    b.binary(ADD, v, g, v);
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
    refresh(b, slot.parameter(), slot.copy());
  }

  static void sgd(Backend b, List<SgdSlot> slots, NdArray factors, NdArray scale) {
    try (var work = new Workspace(b.memory())) {
      Shape largest = largest(slots.stream().map(SgdSlot::parameter));
      NdArray[] temporaries = new NdArray[3];
      Arrays.setAll(temporaries, _ -> work.allocate(factors.dtype(), largest));
      NdArray finite = finite(b, work, scale);
      NdArray nesterov = work.allocate(DType.BOOL, Shape.scalar());
      b.compare(Compare.NOT_EQUAL, at(factors, SgdFactors.NESTEROV), 0, nesterov);
      for (SgdSlot slot : slots) {
        Shape shape = slot.parameter().shape();
        NdArray[] parts = parts(temporaries, shape);
        sgd(b, slot, factors, scale, finite, nesterov.expand(shape), parts);
      }
    }
  }

  private static void sgd(
      Backend b,
      SgdSlot slot,
      NdArray factors,
      NdArray scale,
      NdArray finite,
      NdArray nesterov,
      NdArray[] temporaries) {
    Shape shape = slot.parameter().shape();
    NdArray g = temporaries[0];
    NdArray v = temporaries[1];
    NdArray p = temporaries[2];
    b.binary(MULTIPLY, slot.gradient(), scale.expand(shape), g);
    b.binary(MULTIPLY, slot.parameter(), factor(factors, SgdFactors.WEIGHT_DECAY, shape), p);
    b.binary(ADD, g, p, g);
    b.binary(MULTIPLY, slot.velocity(), factor(factors, SgdFactors.MOMENTUM, shape), v);
    b.binary(ADD, v, g, v);
    keep(b, finite, v, slot.velocity());
    b.binary(MULTIPLY, v, factor(factors, SgdFactors.MOMENTUM, shape), p);
    b.binary(ADD, p, g, p);
    b.where(nesterov, p, v, v);
    b.binary(MULTIPLY, v, factor(factors, SgdFactors.RATE, shape), v);
    b.binary(SUBTRACT, slot.parameter(), v, v);
    keep(b, finite, v, slot.parameter());
    refresh(b, slot.parameter(), slot.copy());
  }

  private static Shape largest(Stream<NdArray> parameters) {
    return Shape.of(parameters.mapToLong(NdArray::elements).max().orElse(0));
  }

  private static NdArray[] parts(NdArray[] temporaries, Shape shape) {
    NdArray[] parts = new NdArray[temporaries.length];
    Arrays.setAll(parts, i -> temporaries[i].slice(0, 0, shape.elements()).reshape(shape));
    return parts;
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
