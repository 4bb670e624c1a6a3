package fornax.cpu;

import fornax.backend.DeviceException;
import fornax.backend.Settings;
import fornax.backend.Settings.CpuMatmul;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/// Chooses what computes a product: [Matmul] in Java, or [OneDnnMatmul] where both operands are
/// BF16 and oneDNN is there and not refused. F32 products are always computed in Java, so oneDNN
/// changes no F32 result.
final class MatmulProvider {
  private static final AtomicBoolean SAID = new AtomicBoolean();

  private final Workers workers;
  private final CpuMatmul choice = Settings.cpuMatmul();

  /// @throws DeviceException if oneDNN is asked for and cannot be had
  MatmulProvider(Workers workers) {
    this.workers = workers;
    if (choice == CpuMatmul.ONEDNN && Library.MATMUL == null) {
      throw new DeviceException(
          "matmul: " + Library.STATE + "; got onednn; need auto or java without it");
    }
  }

  /// Loaded when the first BF16 product comes, once for all devices.
  private static final class Library {
    static final @Nullable OneDnnMatmul MATMUL;
    static final String STATE;

    static {
      OneDnnMatmul matmul = null;
      String state;
      try {
        OneDnn api = OneDnn.load();
        matmul = new OneDnnMatmul(api);
        state = "oneDNN " + api.description;
      } catch (OneDnnLibrary.UnavailableException e) {
        state = String.valueOf(e.getMessage());
      }
      MATMUL = matmul;
      STATE = state;
    }
  }

  /// Computes what `args` says.
  void run(MatmulArgs args) {
    OneDnnMatmul oneDnn = args.a.bfloat16 && args.b.bfloat16 ? oneDnn() : null;
    if (oneDnn != null && OneDnnMatmul.takes(args)) {
      oneDnn.run(workers, args);
    } else {
      Matmul.run(workers, args);
    }
  }

  /// What multiplies BF16 matrices that are worth a call: `java` or `onednn`.
  String ofBfloat16() {
    CpuMatmul used =
        choice == CpuMatmul.JAVA || Library.MATMUL == null ? CpuMatmul.JAVA : CpuMatmul.ONEDNN;
    return used.name().toLowerCase(Locale.ROOT);
  }

  private @Nullable OneDnnMatmul oneDnn() {
    if (choice == CpuMatmul.JAVA) {
      return null;
    }
    if (!SAID.getAndSet(true)) {
      System.getLogger("fornax.cpu")
          .log(
              System.Logger.Level.INFO,
              "cpu: bf16 products by "
                  + (Library.MATMUL == null
                      ? "Java in F32 arithmetic: " + Library.STATE
                      : Library.STATE));
    }
    return Library.MATMUL;
  }
}
