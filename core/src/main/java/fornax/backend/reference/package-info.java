/// The executable definition of every operation: plain loops with double accumulation.
@CheckReturnValue
@NullMarked
package fornax.backend.reference;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
