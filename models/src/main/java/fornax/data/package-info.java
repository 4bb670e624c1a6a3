/// What models learn from: texts, tokenizers, and the batches a training loop draws from them.
@CheckReturnValue
@NullMarked
package fornax.data;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
