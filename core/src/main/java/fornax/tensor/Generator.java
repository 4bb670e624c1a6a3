package fornax.tensor;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.NdArray;
import fornax.backend.Owner;
import fornax.backend.Philox;
import java.lang.foreign.MemorySegment;

/// Where randomness on a device comes from: the random state of [Philox], which is a seed and a
/// step, and the number of the next stream. What is drawn depends on these three alone, so a run
/// resumes by its seed and step.
public final class Generator implements AutoCloseable {
  private final Backend backend;
  private final long seed;
  private final NdArray state;
  private long step;
  private int streams;
  private boolean closed;

  public Generator(Backend backend, long seed) {
    this.backend = backend;
    this.seed = seed;
    this.state =
        Tensors.made(
            backend,
            DType.I32,
            Shape.of(Philox.STATE_WORDS),
            Owner.DATA,
            y -> backend.upload(words(0), y));
  }

  private MemorySegment words(long of) {
    int[] words = {(int) seed, (int) (seed >>> 32), (int) of, (int) (of >>> 32)};
    return MemorySegment.ofArray(words);
  }

  public long seed() {
    return seed;
  }

  public long step() {
    return step;
  }

  /// Starts step `newStep`, a training step for example: other numbers, and streams from 0 again.
  ///
  /// @throws IllegalStateException if this has been closed
  public void setStep(long newStep) {
    backend.upload(words(newStep), state());
    step = newStep;
    streams = 0;
    state.buffer().changed();
  }

  /// The random state on the device, I32 `[4]`.
  ///
  /// @throws IllegalStateException if this has been closed and no recorded operation holds the
  ///   state
  public NdArray state() {
    if (closed && state.buffer().holders() == 0) {
      throw new IllegalStateException("generator: it has been closed; need an open one");
    }
    return state;
  }

  /// [#state()], for the operation `op` on `device`.
  NdArray state(String op, Backend device) {
    if (device != backend) {
      throw Call.otherDevice(op, device, backend);
    }
    return state();
  }

  /// A stream that was not used in this step.
  public int nextStream() {
    return streams++;
  }

  /// The number of the next stream.
  int streams() {
    return streams;
  }

  /// Makes `next` the number of the next stream, so that what is computed again draws what it drew.
  void goTo(int next) {
    streams = next;
  }

  /// Gives the memory back. Closing twice does nothing.
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      state.buffer().release();
    }
  }
}
