/// What every backend must compute: the table of cases, golden values and gradient checks.
@CheckReturnValue
@NullMarked
package fornax.conformance;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
