/// BERT, and what turns sentences into vectors with it.
@NullMarked
@CheckReturnValue
package fornax.models.bert;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
