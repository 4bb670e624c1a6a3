package fornax.tensor;

import org.jspecify.annotations.Nullable;

/// What a thread is in the middle of: its innermost scope, and whether gradients are recorded.
final class ThreadState {
  private static final ThreadLocal<ThreadState> CURRENT = ThreadLocal.withInitial(ThreadState::new);

  @Nullable Scope scope;
  boolean recording = true;

  static ThreadState current() {
    return CURRENT.get();
  }
}
