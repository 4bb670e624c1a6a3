package fornax.cpu;

import static fornax.cpu.Vectors.LANES;
import static fornax.cpu.Vectors.load;
import static fornax.cpu.Vectors.store;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import fornax.backend.AdamWFactors;
import fornax.backend.AdamWSlot;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import java.lang.foreign.MemorySegment;
import java.util.List;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/// One AdamW step over many parameters, each element read and written once.
final class AdamW {
  private static final int COST = 8; // of an element, in multiply-adds

  private final float decay;
  private final float rest1;
  private final float beta2;
  private final float rest2;
  private final float stepSize;
  private final float rootCorrection;
  private final float epsilon;
  private final float scale;

  private AdamW(NdArray factors, float scale) {
    MemorySegment data = HostBlock.segment(factors);
    this.decay = at(data, factors, AdamWFactors.DECAY);
    this.rest1 = at(data, factors, AdamWFactors.REST_1);
    this.beta2 = at(data, factors, AdamWFactors.BETA_2);
    this.rest2 = at(data, factors, AdamWFactors.REST_2);
    this.stepSize = at(data, factors, AdamWFactors.STEP_SIZE);
    this.rootCorrection = at(data, factors, AdamWFactors.ROOT_CORRECTION);
    this.epsilon = at(data, factors, AdamWFactors.EPSILON);
    this.scale = scale;
  }

  private static float at(MemorySegment data, NdArray factors, long index) {
    return data.get(JAVA_FLOAT, 4 * factors.layout().at(index));
  }

  static void step(Workers workers, List<AdamWSlot> slots, NdArray factors, NdArray scale) {
    float factor = at(HostBlock.segment(scale), scale, 0);
    if (!Float.isFinite(factor)) {
      return;
    }
    var step = new AdamW(factors, factor);
    Chunks chunks = Chunks.of(slots, slot -> slot.parameter().elements());
    chunks.parallel(
        workers,
        COST,
        chunk -> {
          AdamWSlot slot = slots.get(chunks.item(chunk));
          long first = chunks.start(chunk);
          int n = (int) Math.min(Chunks.LENGTH, slot.parameter().elements() - first);
          step.update(
              slice(slot.parameter(), first, n),
              slice(slot.gradient(), first, n),
              slice(slot.firstMoment(), first, n),
              slice(slot.secondMoment(), first, n),
              n);
          refresh(slot.copy(), slot.parameter(), first, n);
        });
  }

  private static MemorySegment slice(NdArray x, long first, int n) {
    return HostBlock.segment(x).asSlice(4 * (x.layout().offset() + first), 4L * n);
  }

  // The chunk is still in the cache.
  static void refresh(@Nullable NdArray copy, NdArray parameter, long first, int n) {
    if (copy != null) {
      long from = 4 * (parameter.layout().offset() + first);
      long to = copy.layout().offset() + first;
      MemorySegment data = HostBlock.segment(copy);
      Words.write(copy.dtype(), false, HostBlock.segment(parameter), from, n, data, to, 1);
    }
  }

  private void update(MemorySegment p, MemorySegment g, MemorySegment m, MemorySegment v, int n) {
    int body = 0;
    if (Simd.AVAILABLE) {
      body = n & -Simd.LANES;
      Kernels.update(this, p, g, m, v, body);
    }
    for (int i = body; i < n; i++) {
      long at = 4L * i;
      float gradient = g.get(JAVA_FLOAT, at) * scale;
      float first = m.get(JAVA_FLOAT, at);
      first = Math.fma(gradient - first, rest1, first);
      float second = Math.fma(gradient * gradient, rest2, v.get(JAVA_FLOAT, at) * beta2);
      float root = Math.fma((float) Math.sqrt(second), rootCorrection, epsilon);
      float parameter = Math.fma(p.get(JAVA_FLOAT, at), decay, -(first * stepSize / root));
      m.set(JAVA_FLOAT, at, first);
      v.set(JAVA_FLOAT, at, second);
      p.set(JAVA_FLOAT, at, parameter);
    }
  }

  private static final class Kernels {
    static void update(
        AdamW f, MemorySegment p, MemorySegment g, MemorySegment m, MemorySegment v, int n) {
      FloatVector rest1 = Vectors.all(f.rest1);
      FloatVector rest2 = Vectors.all(f.rest2);
      FloatVector root = Vectors.all(f.rootCorrection);
      FloatVector epsilon = Vectors.all(f.epsilon);
      FloatVector decay = Vectors.all(f.decay);
      for (int i = 0; i < n; i += LANES) {
        long at = 4L * i;
        FloatVector gradient = load(g, at).mul(f.scale);
        FloatVector first = load(m, at);
        first = gradient.sub(first).fma(rest1, first);
        FloatVector second = gradient.mul(gradient).fma(rest2, load(v, at).mul(f.beta2));
        FloatVector step = first.mul(f.stepSize).div(second.sqrt().fma(root, epsilon));
        store(first, m, at);
        store(second, v, at);
        store(load(p, at).fma(decay, step.neg()), p, at);
      }
    }
  }
}
