/// Tests of the CUDA backend: of its host code and its kernels on the software CUDA device, or on a
/// card with `-Dfornax.cuda.tests=card`.
@CheckReturnValue
@NullMarked
package fornax.cuda;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
