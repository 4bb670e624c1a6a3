package fornax.cpu;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/// [LimitProbe] with vectors.
final class LimitVectorProbe {
  private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;

  private LimitVectorProbe() {}

  static void pass(MemorySegment x) {
    var one = FloatVector.broadcast(SPECIES, LimitProbe.one());
    long step = SPECIES.vectorByteSize();
    ByteOrder order = ByteOrder.nativeOrder();
    for (long at = 0; at < x.byteSize(); at += step) {
      FloatVector.fromMemorySegment(SPECIES, x, at, order).mul(one).intoMemorySegment(x, at, order);
    }
  }

  static float multiplyAdd(int turns) {
    var factor = FloatVector.broadcast(SPECIES, 0.999f);
    var one = FloatVector.broadcast(SPECIES, 1);
    var a0 = one;
    var a1 = one.add(1);
    var a2 = one.add(2);
    var a3 = one.add(3);
    var a4 = one.add(4);
    var a5 = one.add(5);
    var a6 = one.add(6);
    var a7 = one.add(7);
    var a8 = one.add(8);
    var a9 = one.add(9);
    var a10 = one.add(10);
    var a11 = one.add(11);
    for (int i = 0; i < turns; i++) {
      a0 = a0.fma(factor, factor);
      a1 = a1.fma(factor, factor);
      a2 = a2.fma(factor, factor);
      a3 = a3.fma(factor, factor);
      a4 = a4.fma(factor, factor);
      a5 = a5.fma(factor, factor);
      a6 = a6.fma(factor, factor);
      a7 = a7.fma(factor, factor);
      a8 = a8.fma(factor, factor);
      a9 = a9.fma(factor, factor);
      a10 = a10.fma(factor, factor);
      a11 = a11.fma(factor, factor);
    }
    var low = a0.add(a1).add(a2).add(a3).add(a4).add(a5);
    var high = a6.add(a7).add(a8).add(a9).add(a10).add(a11);
    return low.add(high).lane(0);
  }
}
