/// The software CUDA device: what loads it into a test, and the tests of the device itself.
@CheckReturnValue
@NullMarked
package fornax.cuda.softwaredevice;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
