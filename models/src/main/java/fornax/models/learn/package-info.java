/// The ladder: sixteen small systems on the way from one derivative to a GPT, each in one file, on
/// the public tensor API. `./fornax learn` runs them; docs/learn explains them.
@CheckReturnValue
@NullMarked
package fornax.models.learn;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
