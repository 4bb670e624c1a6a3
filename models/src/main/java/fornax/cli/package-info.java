/// The command line.
@CheckReturnValue
@NullMarked
package fornax.cli;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
