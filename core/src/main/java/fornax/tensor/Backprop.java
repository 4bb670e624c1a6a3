package fornax.tensor;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Binary;
import fornax.backend.Buffer;
import fornax.backend.NdArray;
import fornax.backend.Owner;
import fornax.backend.Reduce;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.PriorityQueue;
import org.jspecify.annotations.Nullable;

/// A backward pass, and what a [GradientRule] sees of it: `dy`, the saved values, and where to put
/// gradients.
///
/// Nodes are visited newest first, so each has its whole gradient when its turn comes. Saved values
/// and gradients are released as the pass leaves them behind.
final class Backprop {
  /// An array to write a gradient to, or, where `accumulate`, to add it to.
  record Target(NdArray array, boolean accumulate) {}

  private final PriorityQueue<Node> queue =
      new PriorityQueue<>(Comparator.comparingLong((Node node) -> node.order).reversed());
  private final List<Buffer> temporaries = new ArrayList<>();
  private final List<Buffer> ungiven = new ArrayList<>(); // held by the rule that is running
  private Node node;

  private Backprop(Node root) {
    this.node = root;
  }

  /// Runs backward from `root` with the gradient `one`, of ones, whose hold passes to this.
  static void runFromOne(Node root, NdArray one) {
    boolean first = root.gradient == null;
    root.accumulate(one);
    root.gradientIsOne = first;
    run(List.of(root));
  }

  /// Runs backward from `root` with the gradient `seed`, whose hold passes to this.
  static void run(Node root, NdArray seed) {
    root.accumulate(seed);
    run(List.of(root));
  }

  /// Runs backward from `roots`, at least one, which have their gradients.
  static void run(List<Node> roots) {
    Backprop pass = new Backprop(roots.getFirst());
    boolean done = false;
    try {
      roots.forEach(pass::enqueue);
      for (Node next = pass.queue.poll(); next != null; next = pass.queue.poll()) {
        pass.visit(next);
      }
      done = true;
    } finally {
      if (!done) {
        pass.abandon(roots);
      }
    }
  }

  // An error stopped the pass: what it has half done must not be done again.
  private void abandon(List<Node> roots) {
    roots.forEach(Node::abandon);
    node.abandon();
    for (Node left : queue) {
      left.queued = false;
      left.abandon();
      left.release();
    }
  }

  private void visit(Node next) {
    node = next;
    next.queued = false;
    try {
      next.apply(this);
    } finally {
      for (Buffer buffer : temporaries) {
        buffer.release();
      }
      temporaries.clear();
      for (Buffer buffer : ungiven) { // an error stopped the rule
        buffer.release();
      }
      ungiven.clear();
      next.release();
    }
  }

  private void enqueue(Node input) {
    if (!input.isLeaf() && !input.queued) {
      if (input.isConsumed()) {
        throw consumed(input.op);
      }
      input.queued = true;
      input.retain();
      queue.add(input);
    }
  }

  static IllegalStateException consumed(String op) {
    return new IllegalStateException(
        "backward: the graph has been used; got a second backward through "
            + op
            + "; need one backward for each forward; compute the value again, or add the losses"
            + " before backward");
  }

  Backend backend() {
    return node.backend;
  }

  /// The gradient that reached the operation's result.
  NdArray dy() {
    return Objects.requireNonNull(node.gradient);
  }

  /// Whether the host knows that `dy` is 1: the pass began here, without a seed.
  boolean isDyOne() {
    return node.gradientIsOne;
  }

  /// `dy`, copied where it is not contiguous; good until the rule returns.
  NdArray contiguousDy() {
    return contiguous(dy());
  }

  /// `x`, copied where it is not contiguous; good until the rule returns.
  NdArray contiguous(NdArray x) {
    if (x.isContiguous()) {
      return x;
    }
    NdArray copy = temporary(x.dtype(), x.shape());
    backend().copy(x, copy);
    return copy;
  }

  /// A saved value.
  ///
  /// @throws IllegalStateException if it was changed in place since
  NdArray saved(int index) {
    Saved value = node.saved[index];
    int version = value.array().buffer().version();
    if (version != value.version()) {
      throw new IllegalStateException(
          "backward: a value that "
              + node.op
              + " needs was changed in place; got version "
              + version
              + " of "
              + value.array()
              + "; need version "
              + value.version()
              + "; change it after backward, or change a copy");
    }
    return value.array();
  }

  /// Checks all saved values, for a rule that has them by other means.
  void checkSaved() {
    for (int i = 0; i < node.saved.length; i++) {
      NdArray _ = saved(i);
    }
  }

  /// A saved value that may be written over because nobody else holds it, with one more hold; or
  /// null.
  @Nullable NdArray donated(int index) {
    NdArray array = saved(index);
    Buffer buffer = array.buffer();
    if (buffer.holders() > 1 || !array.isContiguous()) {
      return null;
    }
    hold(array);
    return array;
  }

  /// The number of inputs.
  int inputs() {
    return node.inputs.length;
  }

  /// Whether the input takes a gradient.
  boolean wants(int input) {
    return node.inputs[input] != null;
  }

  /// The shape of an input that wants a gradient.
  Shape shape(int input) {
    return input(input).shape;
  }

  /// The type that an input that wants a gradient collects it in.
  DType dtype(int input) {
    return input(input).dtype;
  }

  private Node input(int index) {
    return Objects.requireNonNull(node.inputs[index]);
  }

  /// A contiguous array for a gradient, to be given.
  NdArray allocate(DType dtype, Shape shape) {
    NdArray array = backend().memory().allocate(dtype, shape, Owner.GRADIENTS);
    ungiven.add(array.buffer());
    return array;
  }

  /// A contiguous array of the shape and type of an input.
  NdArray like(int input) {
    Node to = input(input);
    return allocate(to.dtype, to.shape);
  }

  /// `dy` itself where nobody else holds it, to be written over, or a temporary like it. `dy` must
  /// be contiguous.
  NdArray reuse(NdArray dy) {
    return dy.buffer().holders() == 1 ? dy : temporary(dy.dtype(), dy.shape());
  }

  /// A contiguous array that is released when the rule returns.
  NdArray temporary(DType dtype, Shape shape) {
    NdArray array = backend().memory().allocate(dtype, shape, Owner.WORKSPACE);
    temporaries.add(array.buffer());
    return array;
  }

  /// Gives an input its gradient, of its shape; the hold passes over.
  void give(int input, NdArray dx) {
    given(dx);
    Node to = node.inputs[input];
    if (to == null) {
      dx.buffer().release();
      return;
    }
    to.accumulate(dx);
    enqueue(to);
  }

  /// Hands an input `dx`, which is held elsewhere, as one of several gradients that its rule takes
  /// by [#handed(int)].
  void hand(int input, NdArray dx) {
    Node to = input(input);
    to.saved = Arrays.copyOf(to.saved, to.saved.length + 1);
    to.saved[to.saved.length - 1] = Saved.of(dx);
    enqueue(to);
  }

  /// The gradients that were handed to this operation, which saved `count` values itself; their
  /// holds pass to the caller.
  List<NdArray> handed(int count) {
    List<NdArray> all = new ArrayList<>();
    for (int i = count; i < node.saved.length; i++) {
      all.add(node.saved[i].array());
    }
    node.saved = Arrays.copyOf(node.saved, count);
    return all;
  }

  /// The gradient that an input has so far, where it is contiguous, for a rule that adds its own to
  /// it by [#sumTarget(int)] and [#replace(int, NdArray)]; or null.
  @Nullable NdArray gradientSoFar(int input) {
    NdArray sum = input(input).gradient;
    return sum != null && sum.isContiguous() ? sum : null;
  }

  /// Where to write [#gradientSoFar(int)] with something added: its own array if nobody else holds
  /// it, or a new one. To be given by [#replace(int, NdArray)].
  NdArray sumTarget(int input) {
    Node to = input(input);
    NdArray before = Objects.requireNonNull(to.gradient);
    NdArray after = to.writable(before);
    if (after == before) {
      hold(after);
    } else {
      ungiven.add(after.buffer());
    }
    return after;
  }

  /// Puts `sum`, which contains [#gradientSoFar(int)], in its place; the hold passes over.
  void replace(int input, NdArray sum) {
    given(sum);
    Node to = input(input);
    to.dropGradient();
    to.gradient = sum;
    enqueue(to);
  }

  private void given(NdArray dx) {
    int last = ungiven.lastIndexOf(dx.buffer());
    ungiven.remove(last);
  }

  private void hold(NdArray dx) {
    dx.buffer().retain();
    ungiven.add(dx.buffer());
  }

  /// Gives an input an array that is held elsewhere, such as a view of `dy`.
  void pass(int input, NdArray dx) {
    if (wants(input)) {
      hold(dx);
      give(input, dx);
    }
  }

  /// Gives an input `dx`, summed over the axes along which the input was broadcast; the hold passes
  /// over.
  void giveReduced(int input, NdArray dx) {
    Node to = node.inputs[input];
    if (to == null || dx.shape().equals(to.shape)) {
      give(input, dx);
      return;
    }
    NdArray sum = allocate(to.dtype, aligned(to.shape, dx.rank()));
    backend().reduce(Reduce.SUM, dx, sum);
    given(dx);
    dx.buffer().release();
    give(input, sum.reshape(to.shape));
  }

  /// [#giveReduced(int, NdArray)] with an array that is held elsewhere.
  void passReduced(int input, NdArray dx) {
    if (wants(input)) {
      hold(dx);
      giveReduced(input, dx);
    }
  }

  private static Shape aligned(Shape shape, int rank) {
    Shape longer = shape;
    while (longer.rank() < rank) {
      longer = longer.insert(0, 1);
    }
    return longer;
  }

  /// Where to write an input's gradient, for kernels that can add to what is there.
  Target target(int input) {
    Node to = input(input);
    NdArray own = to.ownGradient();
    boolean accumulate = own != null;
    if (own == null) {
      own = to.allocateGradient();
      to.gradient = own;
    }
    enqueue(to);
    return new Target(own, accumulate);
  }

  /// A contiguous [#target(int)], which can be reshaped.
  Target rowMajorTarget(int input) {
    Target target = target(input);
    if (target.array().isContiguous()) {
      return target;
    }
    NdArray dense = like(input);
    if (target.accumulate()) {
      backend().copy(target.array(), dense);
    }
    given(dense);
    input(input).dropGradient();
    input(input).gradient = dense;
    return new Target(dense, target.accumulate());
  }

  /// Where to add an input's gradient, zero where there is none yet.
  NdArray zeroedTarget(int input) {
    Target target = target(input);
    if (!target.accumulate()) {
      backend().fill(target.array(), 0);
    }
    return target.array();
  }

  /// `a ⊙ b` in a new array of `dtype`; the caller holds it.
  NdArray product(NdArray a, NdArray b, DType dtype) {
    NdArray y = allocate(dtype, a.shape());
    backend().binary(Binary.MULTIPLY, a, b, y);
    return y;
  }
}
