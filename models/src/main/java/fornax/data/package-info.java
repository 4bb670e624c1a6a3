/// Texts and tokenizers.
@CheckReturnValue
@NullMarked
package fornax.data;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
