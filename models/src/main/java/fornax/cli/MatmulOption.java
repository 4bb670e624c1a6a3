package fornax.cli;

import fornax.backend.Settings.CpuMatmul;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/// `auto`, `java` or `onednn`.
final class MatmulOption implements ITypeConverter<CpuMatmul> {
  /// What the option is for.
  static final String DESCRIPTION =
      "What multiplies bf16 matrices on the CPU: java, onednn (fetched by ./fornax if named here;"
          + " see docs/performance.md), or auto: onednn where it is there. Default: auto.";

  /// The choice that goes on with what a run's config says multiplied its matrices; null: it says
  /// nothing, or what this version does not know. Where oneDNN is not there any more, Java goes on.
  static @Nullable CpuMatmul ofRun(String matmul) {
    return switch (matmul) {
      case "java" -> CpuMatmul.JAVA;
      case "onednn" -> CpuMatmul.AUTO;
      default -> null;
    };
  }

  @Override
  public CpuMatmul convert(String text) {
    for (CpuMatmul choice : CpuMatmul.values()) {
      if (choice.name().toLowerCase(Locale.ROOT).equals(text)) {
        return choice;
      }
    }
    throw new TypeConversionException("got " + text + "; need auto, java or onednn");
  }
}
