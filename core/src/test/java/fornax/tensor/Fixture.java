package fornax.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.reference.ReferenceBackend;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/// A reference device and a scope for each test, and the check that nothing is left of either.
abstract class Fixture {
  protected Backend backend;
  protected Tensors tensors;
  private Scope scope;

  @BeforeEach
  @SuppressWarnings("MustBeClosed") // closed after the test
  final void open() {
    backend = new ReferenceBackend();
    tensors = Tensors.on(backend);
    scope = Scope.open();
  }

  @AfterEach
  final void close() {
    scope.close();
    assertEquals(0, backend.memory().stats().live(), () -> backend.memory().leaks().toString());
    backend.close();
  }

  protected Tensor vector(double... values) {
    return tensors.of(values, DType.F32, Shape.of(values.length));
  }

  protected Tensor leaf(double... values) {
    return vector(values).requiresGrad(true);
  }

  protected Tensor matrix(long rows, long columns) {
    return tensors.range(DType.F32, 1, 1, rows * columns).reshape(rows, columns);
  }

  protected static void assertSays(String part, Exception e) {
    String message = String.valueOf(e.getMessage());
    assertTrue(message.contains(part), message);
  }

  protected static double[] grad(Tensor leaf) {
    Tensor grad = leaf.grad();
    if (grad == null) {
      throw new AssertionError("no gradient reached the leaf");
    }
    return grad.toDoubleArray();
  }
}
