package fornax.tensor;

import org.jspecify.annotations.Nullable;

/// What a thread is in the middle of: its innermost scope, whether gradients are recorded, and what
/// watches its numbers.
final class ThreadState {
  private static final ThreadLocal<ThreadState> CURRENT = ThreadLocal.withInitial(ThreadState::new);

  @Nullable Scope scope;
  boolean recording = true;
  @Nullable Numerics numerics;

  static ThreadState current() {
    return CURRENT.get();
  }
}
