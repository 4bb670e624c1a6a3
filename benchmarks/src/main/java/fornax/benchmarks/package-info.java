/// The JMH suites that guard the hot paths.
@CheckReturnValue
@NullMarked
package fornax.benchmarks;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
