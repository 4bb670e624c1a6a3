package fornax.cpu;

import static fornax.cpu.Vectors.LANES;
import static fornax.cpu.Vectors.load;
import static fornax.cpu.Vectors.store;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import fornax.backend.SgdFactors;
import fornax.backend.SgdSlot;
import java.lang.foreign.MemorySegment;
import java.util.List;
import jdk.incubator.vector.FloatVector;

/// One SGD step with momentum over many parameters, each element read and written once.
final class Sgd {
  private static final int COST = 6; // of an element, in multiply-adds

  private final float rate;
  private final float momentum;
  private final float weightDecay;
  private final boolean nesterov;
  private final float scale;

  private Sgd(NdArray factors, float scale) {
    MemorySegment data = HostBlock.segment(factors);
    this.rate = at(data, factors, SgdFactors.RATE);
    this.momentum = at(data, factors, SgdFactors.MOMENTUM);
    this.weightDecay = at(data, factors, SgdFactors.WEIGHT_DECAY);
    this.nesterov = at(data, factors, SgdFactors.NESTEROV) != 0;
    this.scale = scale;
  }

  private static float at(MemorySegment data, NdArray factors, long index) {
    return data.get(JAVA_FLOAT, 4 * factors.layout().at(index));
  }

  static void step(Workers workers, List<SgdSlot> slots, NdArray factors, NdArray scale) {
    float factor = at(HostBlock.segment(scale), scale, 0);
    if (!Float.isFinite(factor)) {
      return;
    }
    var step = new Sgd(factors, factor);
    Chunks chunks = Chunks.of(slots, slot -> slot.parameter().elements());
    chunks.parallel(
        workers,
        COST,
        chunk -> {
          SgdSlot slot = slots.get(chunks.item(chunk));
          long first = chunks.start(chunk);
          int n = (int) Math.min(Chunks.LENGTH, slot.parameter().elements() - first);
          step.update(
              slice(slot.parameter(), first, n),
              slice(slot.gradient(), first, n),
              slice(slot.velocity(), first, n),
              n);
          AdamW.refresh(slot.copy(), slot.parameter(), first, n);
        });
  }

  private static MemorySegment slice(NdArray x, long first, int n) {
    return HostBlock.segment(x).asSlice(4 * (x.layout().offset() + first), 4L * n);
  }

  private void update(MemorySegment p, MemorySegment g, MemorySegment v, int n) {
    int body = 0;
    if (Simd.AVAILABLE) {
      body = n & -Simd.LANES;
      Kernels.update(this, p, g, v, body);
    }
    for (int i = body; i < n; i++) {
      long at = 4L * i;
      float parameter = p.get(JAVA_FLOAT, at);
      float gradient = Math.fma(parameter, weightDecay, g.get(JAVA_FLOAT, at) * scale);
      float velocity = Math.fma(v.get(JAVA_FLOAT, at), momentum, gradient);
      float step = nesterov ? Math.fma(velocity, momentum, gradient) : velocity;
      v.set(JAVA_FLOAT, at, velocity);
      p.set(JAVA_FLOAT, at, Math.fma(step, -rate, parameter));
    }
  }

  private static final class Kernels {
    static void update(Sgd f, MemorySegment p, MemorySegment g, MemorySegment v, int n) {
      FloatVector decay = Vectors.all(f.weightDecay);
      FloatVector momentum = Vectors.all(f.momentum);
      FloatVector rate = Vectors.all(-f.rate);
      for (int i = 0; i < n; i += LANES) {
        long at = 4L * i;
        FloatVector parameter = load(p, at);
        FloatVector gradient = parameter.fma(decay, load(g, at).mul(f.scale));
        FloatVector velocity = load(v, at).fma(momentum, gradient);
        FloatVector step = f.nesterov ? velocity.fma(momentum, gradient) : velocity;
        store(velocity, v, at);
        store(step.fma(rate, parameter), p, at);
      }
    }
  }
}
