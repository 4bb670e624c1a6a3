/// Optimisers, learning-rate schedules and gradient clipping.
@CheckReturnValue
@NullMarked
package fornax.optim;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
