/// Tensors with reverse-mode automatic differentiation.
@CheckReturnValue
@NullMarked
package fornax.tensor;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
