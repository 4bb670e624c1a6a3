/// The OpenCL backend: launchers of the kernels in `src/main/opencl`.
@CheckReturnValue
@NullMarked
package fornax.opencl;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
