/// The training loop, and the folder a run leaves behind: configuration, weights and metrics.
@CheckReturnValue
@NullMarked
package fornax.train;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
