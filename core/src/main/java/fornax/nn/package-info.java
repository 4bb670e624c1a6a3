/// Layers, and the modules made of them.
@CheckReturnValue
@NullMarked
package fornax.nn;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
