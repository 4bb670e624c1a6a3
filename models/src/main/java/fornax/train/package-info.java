/// The training loop: schedule, evaluation, checkpoints and metrics.
@CheckReturnValue
@NullMarked
package fornax.train;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
