/// The CUDA backend: launchers of the kernels in `src/main/cuda`.
@CheckReturnValue
@NullMarked
package fornax.cuda;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
