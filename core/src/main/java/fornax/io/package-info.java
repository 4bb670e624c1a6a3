/// Files in and out: `.safetensors` and `.npy`, read by mapping them into memory, checked
/// completely before any value is handed out, and written so that no half-written file ever carries
/// the name.
@CheckReturnValue
@NullMarked
package fornax.io;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
