/// Plain values and index maths: shapes, element types, strided layouts, broadcasting. No
/// gradients, no devices.
@CheckReturnValue
@NullMarked
package fornax.array;

import com.google.errorprone.annotations.CheckReturnValue;
import org.jspecify.annotations.NullMarked;
