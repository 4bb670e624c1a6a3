package fornax.cli;

import com.google.errorprone.annotations.MustBeClosed;
import fornax.backend.Backend;
import fornax.backend.Backends;
import fornax.backend.DeviceInfo;
import fornax.backend.Settings.CpuMatmul;
import fornax.models.gpt.GptConfig;
import fornax.nn.Precision;
import java.io.PrintStream;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// The device that a command works on.
final class OpenDevice implements AutoCloseable {
  private static final String THREADS = "fornax.threads"; // read by Settings
  private static final String PROFILE = "fornax.profile"; // likewise
  private static final String MATMUL = "fornax.cpu.matmul"; // likewise
  private static final int TRAINING_BYTES = 16; // parameter, gradient and AdamW's two moments
  private static final int INFERENCE_BYTES = 4;
  private static final int COPY_BYTES = 2; // in bf16 and f16

  private final Backend backend;
  private final DeviceInfo info;
  private final Map<String, @Nullable String> before;

  private OpenDevice(Backend backend, DeviceInfo info, Map<String, @Nullable String> before) {
    this.backend = backend;
    this.info = info;
    this.before = before;
  }

  /// Opens `device` and says to `err` which one it is and, for `auto`, why not a better one.
  ///
  /// @param threads of the CPU; null: as set already
  /// @throws fornax.backend.DeviceException if there is no such device
  @MustBeClosed
  static OpenDevice open(String device, @Nullable Integer threads, PrintStream err) {
    return open(device, threads, null, false, err);
  }

  /// The same.
  ///
  /// @param matmul what multiplies BF16 matrices on the CPU; null: as set already
  /// @param profile whether the device is to measure the time of its kernels
  @MustBeClosed
  static OpenDevice open(
      String device,
      @Nullable Integer threads,
      @Nullable CpuMatmul matmul,
      boolean profile,
      PrintStream err) {
    Map<String, @Nullable String> before = new HashMap<>();
    for (String property : List.of(THREADS, MATMUL, PROFILE)) {
      before.put(property, System.getProperty(property));
    }
    try {
      if (threads != null) {
        System.setProperty(THREADS, String.valueOf(threads));
      }
      if (matmul != null) {
        System.setProperty(MATMUL, matmul.name());
      }
      if (profile) {
        System.setProperty(PROFILE, "true");
      }
      Backends.Opened opened = Backends.open(device);
      err.println(opened.reason());
      return new OpenDevice(opened.backend(), opened.device(), before);
    } catch (Throwable e) {
      before.forEach(OpenDevice::restore);
      throw e;
    }
  }

  Backend backend() {
    return backend;
  }

  /// The device's name, as its driver has it.
  String name() {
    return info.name();
  }

  /// What runs record: the device's id, with the name of one that only stands in for hardware.
  String id() {
    return info.testOnly() ? backend.id() + ", " + info.name() : backend.id();
  }

  /// What runs record of products in `precision`: [Backend#bf16Matmul()] if that is BF16.
  String matmul(Precision precision) {
    return precision == Precision.BF16 ? backend.bf16Matmul() : "";
  }

  /// @throws UserException if the parameters, their gradients and the optimiser alone are too much
  /// @throws fornax.backend.DeviceException if the device does not compute in `precision`
  void requireMemoryToTrain(GptConfig config, Precision precision) {
    backend.multiplyInTf32(precision == Precision.TF32);
    requireMemory(config, TRAINING_BYTES + copyBytes(precision), "train");
  }

  /// @throws UserException if the parameters alone are too much
  /// @throws fornax.backend.DeviceException if the device does not compute in `precision`
  void requireMemoryToRun(GptConfig config, Precision precision) {
    backend.multiplyInTf32(precision == Precision.TF32);
    requireMemory(config, INFERENCE_BYTES + copyBytes(precision), "run");
  }

  private static int copyBytes(Precision precision) {
    return precision.copies() == null ? 0 : COPY_BYTES;
  }

  private void requireMemory(GptConfig config, int bytesEach, String verb) {
    double width = config.width();
    double parameters =
        12 * width * width * config.layers()
            + width * ((double) config.vocabulary() + config.context());
    long limit = backend.memory().limit();
    if (parameters * bytesEach > limit) {
      throw new UserException(
          String.format(
              Locale.ROOT,
              "memory: model too large for %s; got %,.1f billion parameters, %,.1f GB to %s;"
                  + " need at most %,.1f GB; take a smaller --preset, --width or --layers",
              id(),
              parameters / 1e9,
              parameters * bytesEach / 1e9,
              verb,
              limit / 1e9));
    }
  }

  static void restore(String property, @Nullable String before) {
    if (before == null) {
      System.clearProperty(property);
    } else {
      System.setProperty(property, before);
    }
  }

  @Override
  public void close() {
    backend.close();
    before.forEach(OpenDevice::restore);
  }
}
