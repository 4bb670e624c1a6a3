package fornax.cpu;

import com.google.errorprone.annotations.MustBeClosed;
import fornax.backend.Backend;
import fornax.backend.BackendProvider;
import fornax.backend.DeviceInfo;
import fornax.backend.NdArray;
import fornax.backend.Settings;
import fornax.backend.ShapesOnly;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;

/// Finds the CPU, which is always there.
public final class CpuProvider implements BackendProvider {
  private static final AtomicBoolean WARNED = new AtomicBoolean();

  /// For the service loader.
  public CpuProvider() {}

  @Override
  public String name() {
    return "cpu";
  }

  @Override
  public int preference() {
    return 10;
  }

  @Override
  public List<DeviceInfo> devices() {
    int threads = Settings.threads();
    String name =
        processor()
            + ", "
            + threads
            + (threads == 1 ? " thread, " : " threads, ")
            + (Simd.AVAILABLE ? 32 * Simd.LANES + "-bit vectors" : "no vectors");
    return List.of(new DeviceInfo("cpu", "cpu", name, true, Simd.PROBLEM, Simd.FIX));
  }

  @Override
  public Backend open(int index) {
    if (!Simd.FIX.isEmpty() && !WARNED.getAndSet(true)) {
      System.getLogger("fornax.cpu")
          .log(System.Logger.Level.WARNING, "cpu: " + Simd.PROBLEM + "; " + Simd.FIX);
    }
    return new CpuBackend(Settings.threads());
  }

  @Override
  @MustBeClosed
  public Backend shapesOnly(long bytes) {
    return ShapesOnly.of(
        new ShapesOnly.Options("cpu", bytes, 1L << 24, 1, CpuProvider::isDecomposed, false));
  }

  private static boolean isDecomposed(String operation, Object[] arguments) {
    return (operation.equals("attention") || operation.equals("attentionGradient"))
        && !CpuBackend.isFlash((NdArray) arguments[0], (NdArray) arguments[2]);
  }

  private static String processor() {
    Path info = Path.of("/proc/cpuinfo"); // Linux
    if (Files.isReadable(info)) {
      try (Stream<String> lines = Files.lines(info)) {
        return lines
            .filter(line -> line.startsWith("model name"))
            .map(line -> line.substring(line.indexOf(':') + 1).strip())
            .findFirst()
            .orElse(System.getProperty("os.arch"));
      } catch (IOException | UncheckedIOException _) {
        // the architecture must do
      }
    }
    return System.getProperty("os.arch");
  }
}
