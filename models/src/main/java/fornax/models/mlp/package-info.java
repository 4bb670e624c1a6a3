/// Multi-layer perceptrons.
@CheckReturnValue
@NullMarked
package fornax.models.mlp;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
