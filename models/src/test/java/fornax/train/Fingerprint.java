package fornax.train;

import fornax.backend.Backend;
import fornax.backend.Backends;
import java.io.IOException;
import java.util.Arrays;

/// Prints what a short training came to, in bits: `java ... fornax.train.Fingerprint DEVICE STEPS`.
final class Fingerprint {
  private Fingerprint() {}

  public static void main(String[] arguments) throws IOException {
    System.out.println(of(arguments[0], Integer.parseInt(arguments[1])));
  }

  static String of(String device, int steps) throws IOException {
    try (Backend backend = Backends.open(device).backend();
        var training = new SmallTraining(backend, steps, 0)) {
      double[] losses = training.run();
      return Arrays.hashCode(losses) + " " + Arrays.hashCode(training.weights());
    }
  }
}
