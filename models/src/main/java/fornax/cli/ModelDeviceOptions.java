package fornax.cli;

import com.google.errorprone.annotations.MustBeClosed;
import fornax.backend.Settings.CpuMatmul;
import fornax.nn.Precision;
import java.io.PrintStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/// Where a trained model computes, and in what precision: for commands that do not train.
final class ModelDeviceOptions {
  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      order = 50,
      description = "auto, or a device that fornax devices lists. Default: auto.")
  String device = "auto";

  @Option(
      names = "--threads",
      paramLabel = "N",
      order = 51,
      converter = Numbers.Threads.class,
      description = "Threads of the CPU device. Default: one for each processor.")
  @Nullable Integer threads;

  @Option(
      names = "--precision",
      paramLabel = "TYPE",
      order = 52,
      converter = PrecisionOption.class,
      description = "f32, tf32 (CUDA), bf16 or f16, however it was trained. Default: f32.")
  Precision precision = Precision.F32;

  @Option(
      names = "--matmul",
      paramLabel = "NAME",
      order = 53,
      converter = MatmulOption.class,
      description = MatmulOption.DESCRIPTION)
  @Nullable CpuMatmul matmul;

  @Option(
      names = "--memory-limit",
      paramLabel = "BYTES",
      order = 54,
      converter = SafetyOptions.Bytes.class,
      description = SafetyOptions.LIMIT_DESCRIPTION)
  @Nullable Long memoryLimit;

  /// Opens the device; see [OpenDevice#open].
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed by the caller
  OpenDevice open(PrintStream err) {
    OpenDevice opened = OpenDevice.open(device, threads, matmul, false, err);
    if (memoryLimit != null) {
      opened.backend().memory().setLimit(memoryLimit);
    }
    return opened;
  }
}
