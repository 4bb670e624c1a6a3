/// A trained model on the network: OpenAI's completions over HTTP.
@CheckReturnValue
@NullMarked
package fornax.serve;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
