package fornax.backend;

import fornax.array.DType;
import fornax.array.Shape;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/// A counted lease of pooled memory. It is made with one holder; [#retain()] adds one, [#release()]
/// takes one away, and the last gives the memory back to its pool.
public final class Buffer {
  private static final VarHandle HOLDERS;

  static {
    try {
      HOLDERS = MethodHandles.lookup().findVarHandle(Buffer.class, "holders", int.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private final Memory memory;
  private final Block block;
  private final long start;
  private final long bytes;
  final DType dtype;
  final Shape shape;
  final @Nullable Throwable origin;
  Owner owner;

  // The live list of the pool, under its lock.
  @Nullable Buffer previous;
  @Nullable Buffer next;

  @SuppressWarnings("unused") // by HOLDERS
  private volatile int holders = 1;

  private int version;

  Buffer(
      Memory memory,
      Block block,
      long start,
      DType dtype,
      Shape shape,
      long bytes,
      Owner owner,
      @Nullable Throwable origin) {
    this.memory = memory;
    this.block = block;
    this.start = start;
    this.bytes = bytes;
    this.dtype = dtype;
    this.shape = shape;
    this.owner = owner;
    this.origin = origin;
  }

  /// The pool this buffer belongs to.
  public Memory memory() {
    return memory;
  }

  /// The system's block that holds the buffer's bytes from [#start()] on. Backends reach memory
  /// through this, so nothing is read or written after it was given back.
  ///
  /// @throws IllegalStateException if the buffer has been released
  public Block block() {
    if (holders() <= 0) {
      throw new IllegalStateException(
          "memory: the buffer has been released; got " + describe() + "; need it held until then");
    }
    return block;
  }

  /// [#block()] for the pool, whoever holds it.
  Block leased() {
    return block;
  }

  /// Where the buffer begins in its block, in bytes; a multiple of 64.
  public long start() {
    return start;
  }

  /// The bytes asked for; the block may have more.
  public long bytes() {
    return bytes;
  }

  /// The number of holders; 0 when the memory has gone back to the pool.
  public int holders() {
    return (int) HOLDERS.getVolatile(this);
  }

  /// How often the contents were changed in place; a saved value is good as long as this has not
  /// moved.
  public int version() {
    return version;
  }

  /// Notes a change in place; whoever writes a buffer from several threads orders them.
  public void changed() {
    version++;
  }

  /// Says what the buffer is for; moves its bytes in the report.
  public void setOwner(Owner owner) {
    memory.move(this, owner);
  }

  /// Adds a holder.
  ///
  /// @throws IllegalStateException if the buffer has been released
  public void retain() {
    while (true) {
      int now = (int) HOLDERS.getVolatile(this);
      if (now <= 0) {
        throw new IllegalStateException("retain: the buffer has been released; got " + describe());
      }
      if (HOLDERS.compareAndSet(this, now, now + 1)) {
        return;
      }
    }
  }

  /// Takes a holder away; the last gives the memory back.
  ///
  /// @throws IllegalStateException if there is none left
  public void release() {
    int before = (int) HOLDERS.getAndAdd(this, -1);
    if (before == 1) {
      memory.recycle(this);
    } else if (before <= 0) {
      HOLDERS.getAndAdd(this, 1);
      throw new IllegalStateException(
          "release: the buffer has been released before; got " + describe());
    }
  }

  String describe() {
    return dtype + " " + shape + " (" + bytes + " bytes, " + owner + ")";
  }
}
