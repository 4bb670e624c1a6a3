package fornax.cpu;

import fornax.backend.Settings;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// The CPU's limits: fused multiply-adds on registers alone, and a pass over memory, through the
/// vectors that the kernels use, so that a kernel's speed can be told as a part of them.
///
/// Plain Java loops would not do: those that C2 vectorises by itself must load and store arrays,
/// and reached 223 GFLOP/s where this reaches 256.
public final class LimitProbe {
  /// Independent chains: twice a latency of 4 cycles, and half as much to spare.
  static final int CHAINS = 12;

  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private LimitProbe() {}

  /// The floating-point operations of [#multiplyAdd(int)]: two for each multiply-add.
  public static long flops(int turns) {
    return 2L * CHAINS * Simd.LANES * turns;
  }

  /// Runs `turns` multiply-adds of each chain; returns what keeps the compiler from leaving them
  /// out.
  public static float multiplyAdd(int turns) {
    return Simd.AVAILABLE ? LimitVectorProbe.multiplyAdd(turns) : scalar(turns);
  }

  /// Multiplies the floats of `x` by 1 where they lie: every byte is read and written once. The
  /// size is a multiple of 64 bytes.
  public static void pass(MemorySegment x) {
    if (Simd.AVAILABLE) {
      LimitVectorProbe.pass(x);
      return;
    }
    float one = one();
    for (long at = 0; at < x.byteSize(); at += Float.BYTES) {
      x.set(FLOAT, at, one * x.get(FLOAT, at));
    }
  }

  /// 1, unknown to the compiler, which would leave the multiplication out.
  static float one() {
    return Settings.threads() > 0 ? 1 : 2;
  }

  private static float scalar(int turns) {
    float factor = 0.999f;
    float a0 = 1, a1 = 2, a2 = 3, a3 = 4, a4 = 5, a5 = 6;
    float a6 = 7, a7 = 8, a8 = 9, a9 = 10, a10 = 11, a11 = 12;
    for (int i = 0; i < turns; i++) {
      a0 = Math.fma(a0, factor, factor);
      a1 = Math.fma(a1, factor, factor);
      a2 = Math.fma(a2, factor, factor);
      a3 = Math.fma(a3, factor, factor);
      a4 = Math.fma(a4, factor, factor);
      a5 = Math.fma(a5, factor, factor);
      a6 = Math.fma(a6, factor, factor);
      a7 = Math.fma(a7, factor, factor);
      a8 = Math.fma(a8, factor, factor);
      a9 = Math.fma(a9, factor, factor);
      a10 = Math.fma(a10, factor, factor);
      a11 = Math.fma(a11, factor, factor);
    }
    return a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9 + a10 + a11;
  }
}
