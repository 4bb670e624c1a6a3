package fornax.tensor;

import fornax.backend.Philox;

/// Random numbers made on the host with [StrictMath], the same everywhere: initial weights.
public final class HostRandom {
  private HostRandom() {}

  /// Standard normal numbers by Box and Muller's transform of [Philox]'s words. Source:
  /// doi:10.1214/aoms/1177706645.
  public static float[] normals(long seed, long step, int stream, int count) {
    float[] values = new float[count];
    int[] words = new int[4];
    for (int i = 0; i < count; i += 4) {
      Philox.block(
          (int) seed, (int) (seed >>> 32), i / 4, stream, (int) step, (int) (step >>> 32), words);
      for (int pair = 0; pair < 2 && i + 2 * pair < count; pair++) {
        double u = ((words[2 * pair] & 0xffffffffL) + 0.5) * 0x1p-32;
        double angle = 2 * Math.PI * ((words[2 * pair + 1] & 0xffffffffL) * 0x1p-32);
        double radius = Math.sqrt(-2 * StrictMath.log(u));
        values[i + 2 * pair] = (float) (radius * StrictMath.cos(angle));
        if (i + 2 * pair + 1 < count) {
          values[i + 2 * pair + 1] = (float) (radius * StrictMath.sin(angle));
        }
      }
    }
    return values;
  }

  /// Uniform numbers in [0, 1) of [Philox]'s words.
  public static float[] uniforms(long seed, long step, int stream, int count) {
    float[] values = new float[count];
    int[] words = new int[4];
    for (int i = 0; i < count; i++) {
      if (i % 4 == 0) {
        Philox.block(
            (int) seed, (int) (seed >>> 32), i / 4, stream, (int) step, (int) (step >>> 32), words);
      }
      values[i] = Philox.uniform(words[i % 4]);
    }
    return values;
  }
}
