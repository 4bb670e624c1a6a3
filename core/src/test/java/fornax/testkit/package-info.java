/// What a backend's own tests are made of.
@CheckReturnValue
@NullMarked
package fornax.testkit;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
