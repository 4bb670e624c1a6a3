package fornax.cli;

import fornax.train.TrainOptions.Decay;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/// `--schedule`: the name of a [Decay].
final class ScheduleOption implements ITypeConverter<Decay> {
  @Override
  public Decay convert(String text) {
    for (Decay decay : Decay.values()) {
      if (decay.toString().equals(text)) {
        return decay;
      }
    }
    throw new TypeConversionException("got " + text + "; need cosine, linear, wsd or constant");
  }
}
