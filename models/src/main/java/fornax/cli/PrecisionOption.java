package fornax.cli;

import fornax.nn.Precision;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/// `f32`, `tf32`, `bf16` or `f16`.
final class PrecisionOption implements ITypeConverter<Precision> {
  @Override
  public Precision convert(String text) {
    try {
      return Precision.of(text);
    } catch (IllegalArgumentException e) {
      throw new TypeConversionException("got " + text + "; need f32, tf32, bf16 or f16");
    }
  }
}
