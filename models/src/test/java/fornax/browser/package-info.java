/// A browser for tests.
@NullMarked
package fornax.browser;

import org.jspecify.annotations.NullMarked;
