package fornax.opencl;

import com.google.errorprone.annotations.CanIgnoreReturnValue;
import java.util.ArrayList;
import java.util.List;

/// The arguments of a launch, where their number varies.
final class Arguments {
  private final List<Object> all = new ArrayList<>();

  @CanIgnoreReturnValue
  Arguments add(Object argument) {
    all.add(argument);
    return this;
  }

  @CanIgnoreReturnValue
  Arguments addAll(Object... arguments) {
    all.addAll(List.of(arguments));
    return this;
  }

  Object[] toArray() {
    return all.toArray();
  }
}
