/// Tensors in files: safetensors and .npy.
@CheckReturnValue
@NullMarked
package fornax.io;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
