package fornax.tensor;

import com.google.errorprone.annotations.MustBeClosed;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Owns the tensors made on its thread while it is the innermost scope, and closes them at the end
/// of its block:
///
/// ```java
/// try (var scope = Scope.open()) {
///   Tensor h = x.matmul(w).relu();
///   return scope.keep(h.softmax(-1)); // the result lives on in the scope outside; h and x·w are gone
/// }
/// ```
///
/// A closed tensor's memory goes back to the pool at once, unless a gradient rule still needs it.
public final class Scope implements AutoCloseable {
  private final ThreadState thread;
  private final @Nullable Scope outer;
  private @Nullable Tensor[] tensors = new Tensor[16];
  private int size;
  private boolean closed;

  private Scope(ThreadState thread) {
    this.thread = thread;
    this.outer = thread.scope;
    thread.scope = this;
  }

  /// Opens a scope inside this thread's innermost one.
  @MustBeClosed
  public static Scope open() {
    return new Scope(ThreadState.current());
  }

  /// Moves `tensor` to the scope outside this one, or out of all scopes where there is none;
  /// returns it. A tensor of another scope stays where it is.
  ///
  /// @throws IllegalStateException on another thread than the scope's
  public Tensor keep(Tensor tensor) {
    if (tensor.scope == this) {
      checkThread("keep");
      remove(tensor);
      if (outer == null) {
        tensor.watch();
      } else {
        outer.adopt(tensor);
      }
    }
    return tensor;
  }

  /// Moves both tensors outward; returns them.
  public Residual keep(Residual residual) {
    Tensor _ = keep(residual.sum());
    Tensor _ = keep(residual.normal());
    return residual;
  }

  /// Moves all `tensors` outward; returns them.
  public List<Tensor> keep(List<Tensor> tensors) {
    for (Tensor tensor : tensors) {
      Tensor _ = keep(tensor);
    }
    return tensors;
  }

  void adopt(Tensor tensor) {
    if (size == tensors.length) {
      makeRoom();
    }
    tensor.scope = this;
    tensor.slot = size;
    tensors[size++] = tensor;
  }

  // Drops the places of tensors that left early, and doubles the list if it is still more than half
  // full.
  private void makeRoom() {
    int kept = 0;
    for (int i = 0; i < size; i++) {
      Tensor tensor = tensors[i];
      if (tensor != null) {
        tensor.slot = kept;
        tensors[kept++] = tensor;
      }
    }
    Arrays.fill(tensors, kept, size, null);
    size = kept;
    if (size > tensors.length / 2) {
      tensors = Arrays.copyOf(tensors, tensors.length * 2);
    }
  }

  void remove(Tensor tensor) {
    tensors[tensor.slot] = null;
    tensor.scope = null;
  }

  void checkThread(String op) {
    if (!isOfThisThread()) {
      throw new IllegalStateException(
          op
              + ": the tensor belongs to a scope of another thread; need that thread to keep it or"
              + " let it escape before it hands it over");
    }
  }

  boolean isOfThisThread() {
    return thread == ThreadState.current();
  }

  /// Closes the tensors that are still here. Closing twice does nothing.
  ///
  /// @throws IllegalStateException if an inner scope is still open, or on another thread
  @Override
  public void close() {
    if (closed) {
      return;
    }
    if (!isOfThisThread() || thread.scope != this) {
      throw new IllegalStateException(
          "scope: closed out of order; got a scope that is not the innermost of this thread; need"
              + " try-with-resources, so that inner scopes close first");
    }
    closed = true;
    thread.scope = outer;
    for (int i = size - 1; i >= 0; i--) {
      Tensor tensor = tensors[i];
      if (tensor != null) {
        tensor.scope = null;
        tensor.close();
      }
    }
    tensors = new Tensor[0];
    size = 0;
  }
}
