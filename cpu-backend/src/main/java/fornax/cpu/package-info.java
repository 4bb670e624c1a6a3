/// The CPU backend: Vector API kernels, one file for each family of operations.
@CheckReturnValue
@NullMarked
package fornax.cpu;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
