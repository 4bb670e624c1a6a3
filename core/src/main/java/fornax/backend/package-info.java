/// All that the author of a backend reads: the primitives to implement, the fused operations to
/// override, buffers with exact accounting, and how backends are found.
@CheckReturnValue
@NullMarked
package fornax.backend;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
