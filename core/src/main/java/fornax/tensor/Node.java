package fornax.tensor;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Binary;
import fornax.backend.NdArray;
import fornax.backend.OperationEvent;
import fornax.backend.Owner;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.ArrayDeque;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/// One value on the tape: the operation that made it with what its gradient rule needs, or a leaf
/// that collects its gradient.
///
/// Held by tensor handles, by the nodes that consume it, and by a backward pass that has it in its
/// queue; the last to let go releases what it saved, whether or not backward ever ran.
final class Node {
  private static final VarHandle HOLDERS;
  private static final AtomicLong NEXT_ORDER = new AtomicLong();

  static {
    try {
      HOLDERS = MethodHandles.lookup().findVarHandle(Node.class, "holders", int.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  final String op;
  final long order = NEXT_ORDER.getAndIncrement();
  final Backend backend;
  final DType dtype; // of the gradient
  final Shape shape;
  private final boolean transposed;
  private final @Nullable GradientRule rule;

  @Nullable Node[] inputs;
  Saved[] saved;
  Numerics.@Nullable Origin origin; // where it was recorded, if somebody watches

  @Nullable NdArray gradient;
  boolean gradientIsOne; // of the root of a pass alone: nothing adds to it
  boolean queued;
  private boolean consumed;

  @SuppressWarnings("unused") // by HOLDERS
  private volatile int holders = 1;

  private Node(
      String op,
      Backend backend,
      NdArray y,
      DType dtype,
      @Nullable GradientRule rule,
      @Nullable Node[] inputs,
      Saved[] saved) {
    this.op = op;
    this.backend = backend;
    this.dtype = dtype;
    this.shape = y.shape();
    this.transposed =
        rule != null && y.rank() >= 2 && !y.isContiguous() && y.transpose().isContiguous();
    this.rule = rule;
    this.inputs = inputs;
    this.saved = saved;
  }

  static Node leaf(Backend backend, NdArray y) {
    return new Node("leaf", backend, y, y.dtype(), null, new Node[0], new Saved[0]);
  }

  /// Retains the inputs' nodes and the saved arrays.
  static Node of(
      String op, Backend backend, NdArray y, GradientRule rule, Tensor[] inputs, NdArray[] saved) {
    @Nullable Node[] nodes = new Node[inputs.length];
    for (int i = 0; i < inputs.length; i++) {
      Node node = inputs[i].node();
      if (node != null) {
        node.retain();
        nodes[i] = node;
      }
    }
    Saved[] values = new Saved[saved.length];
    for (int i = 0; i < saved.length; i++) {
      values[i] = Saved.of(saved[i]);
    }
    return new Node(op, backend, y, gradientType(y, inputs), rule, nodes, values);
  }

  // A view of a parameter's copy collects its gradient in the parameter's own type.
  private static DType gradientType(NdArray y, Tensor[] inputs) {
    return inputs.length == 1 && inputs[0].array().buffer() == y.buffer()
        ? gradientType(inputs[0])
        : y.dtype();
  }

  /// The type that `x` collects its gradient in: its own, but that of a parameter's 16-bit copy is
  /// the parameter's.
  static DType gradientType(Tensor x) {
    Node node = x.node();
    return node == null ? x.dtype() : node.dtype;
  }

  boolean isLeaf() {
    return rule == null;
  }

  boolean isConsumed() {
    return consumed;
  }

  void retain() {
    int _ = (int) HOLDERS.getAndAdd(this, 1);
  }

  void release() {
    if ((int) HOLDERS.getAndAdd(this, -1) > 1) {
      return;
    }
    ArrayDeque<Node> dead = new ArrayDeque<>();
    dead.add(this);
    for (Node node = dead.poll(); node != null; node = dead.poll()) {
      node.dropGradient();
      node.dropSaved();
      node.dropInputs(dead);
    }
  }

  /// Runs the rule, then releases everything it needed.
  void apply(Backprop g) {
    GradientRule gradientRule = rule;
    if (gradientRule == null) {
      return;
    }
    OperationEvent event = OperationEvent.start();
    gradientRule.apply(g);
    if (event != null) {
      event.end(op, true, backend, dtype + " " + shape);
    }
    Numerics numerics = Numerics.current();
    if (numerics != null) {
      numerics.backward(this);
    }
    consumed = true;
    dropGradient();
    dropSaved();
    ArrayDeque<Node> dead = new ArrayDeque<>(0);
    dropInputs(dead);
    for (Node node = dead.poll(); node != null; node = dead.poll()) {
      node.dropGradient();
      node.dropSaved();
      node.dropInputs(dead);
    }
  }

  /// Gives up a gradient that is not whole; another backward pass through this is an error. A leaf
  /// keeps what it has.
  void abandon() {
    if (!isLeaf()) {
      consumed = true;
      dropGradient();
    }
  }

  void dropGradient() {
    NdArray array = gradient;
    if (array != null) {
      gradient = null;
      array.buffer().release();
    }
  }

  private void dropSaved() {
    Saved[] values = saved;
    saved = new Saved[0];
    for (Saved value : values) {
      value.array().buffer().release();
    }
  }

  private void dropInputs(ArrayDeque<Node> dead) {
    @Nullable Node[] nodes = inputs;
    inputs = new Node[0];
    for (Node node : nodes) {
      if (node != null && (int) HOLDERS.getAndAdd(node, -1) == 1) {
        dead.add(node);
      }
    }
  }

  /// An array for this node's gradient, in the order of the value's memory: the gradient of a
  /// transposed weight comes out as the weight itself lies, and passes on as a view.
  NdArray allocateGradient() {
    return transposed
        ? backend.memory().allocate(dtype, swapLast(shape), Owner.GRADIENTS).transpose()
        : backend.memory().allocate(dtype, shape, Owner.GRADIENTS);
  }

  private static Shape swapLast(Shape shape) {
    return shape.with(-1, shape.dim(-2)).with(-2, shape.dim(-1));
  }

  /// Adds `dx`, whose hold passes to this node, also where this fails.
  void accumulate(NdArray dx) {
    NdArray sum = gradient;
    if (sum == null && (!isLeaf() || isWhole(dx))) {
      gradient = dx;
      return;
    }
    try {
      if (sum == null) {
        NdArray own = backend.memory().allocate(dtype, shape, Owner.GRADIENTS);
        write(own, null, () -> backend.copy(dx, own));
      } else {
        NdArray into = writable(sum);
        write(into, sum, () -> backend.binary(Binary.ADD, sum, dx, into));
      }
    } finally {
      dx.buffer().release();
    }
  }

  // A leaf's gradient is its alone: contiguous, of its type, and not part of something larger.
  private boolean isWhole(NdArray dx) {
    return dx.isContiguous() && dx.dtype() == dtype && dx.buffer().bytes() == dx.bytes();
  }

  /// The gradient so far in an array that nobody else holds; null where there is none yet.
  @Nullable NdArray ownGradient() {
    NdArray sum = gradient;
    if (sum == null) {
      return null;
    }
    NdArray own = writable(sum);
    if (own != sum) {
      write(own, sum, () -> backend.copy(sum, own));
    }
    return own;
  }

  // Writes the gradient to `into` in place of `before`; keeps that where it fails.
  private void write(NdArray into, @Nullable NdArray before, Runnable work) {
    try {
      work.run();
    } catch (RuntimeException | Error e) {
      if (into != before) {
        into.buffer().release();
      }
      throw e;
    }
    if (into != before) {
      gradient = into;
      if (before != null) {
        before.buffer().release();
      }
    }
  }

  /// `sum` itself where this node alone holds it and it lies densely, or a new array of its shape.
  NdArray writable(NdArray sum) {
    boolean dense = sum.isContiguous() || sum.rank() >= 2 && sum.transpose().isContiguous();
    return dense && sum.dtype() == dtype && sum.buffer().holders() == 1 ? sum : allocateGradient();
  }
}
