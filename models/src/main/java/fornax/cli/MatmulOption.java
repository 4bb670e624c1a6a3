package fornax.cli;

import fornax.backend.Settings.CpuMatmul;
import java.util.Locale;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/// `auto`, `java` or `onednn`.
final class MatmulOption implements ITypeConverter<CpuMatmul> {
  /// What the option is for.
  static final String DESCRIPTION =
      "What multiplies bf16 matrices on the CPU: java, onednn (fetched by ./fornax if named here;"
          + " see docs/performance.md), or auto: onednn where it is there. Default: auto.";

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
