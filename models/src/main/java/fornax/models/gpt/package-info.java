/// GPT-2 and its family.
@CheckReturnValue
@NullMarked
package fornax.models.gpt;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
