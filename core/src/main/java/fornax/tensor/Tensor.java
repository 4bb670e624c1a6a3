package fornax.tensor;

import fornax.array.DType;
import fornax.array.DTypeException;
import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.backend.Backend;
import fornax.backend.Binary;
import fornax.backend.Compare;
import fornax.backend.Conv2dOptions;
import fornax.backend.Extent;
import fornax.backend.NdArray;
import fornax.backend.Owner;
import fornax.backend.Pool2dOptions;
import fornax.backend.Reduce;
import fornax.backend.Settings;
import fornax.backend.Unary;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.lang.ref.Cleaner;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// An array on a device, with the history that [#backward()] needs.
///
/// Operations return new tensors and leave their inputs alone; views (transpose, slice, reshape,
/// expand) share memory and copy nothing. Binary operations broadcast as NumPy's do. A negative
/// axis counts from the end.
///
/// A tensor belongs to the innermost [Scope] of its thread when it is made, which closes it;
/// outside any scope it is the caller's to close, and a collected one is released late. Tensors are
/// not thread-safe, but may be handed over.
public final class Tensor implements AutoCloseable {
  private static final Cleaner CLEANER = Cleaner.create();
  private static final Settings.LeakLevel LEAKS = Settings.leakLevel();
  private static final System.Logger LOG = System.getLogger(Tensor.class.getName());
  private static final VarHandle CLOSED;

  static {
    try {
      CLOSED = MethodHandles.lookup().findVarHandle(Tensor.class, "closed", boolean.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private final Backend backend;
  private final NdArray array;
  private @Nullable Node node;
  private volatile boolean closed;
  private @Nullable Forgotten watcher;
  private @Nullable Throwable closedAt;
  private @Nullable WorkingCopy workingCopy;

  // The scope that will close this, and the place in it.
  @Nullable Scope scope;
  int slot;

  private Tensor(Backend backend, NdArray array, @Nullable Node node) {
    this.backend = backend;
    this.array = array;
    this.node = node;
  }

  /// Makes a handle of `array` and `node`, whose holds pass to it.
  static Tensor wrap(Backend backend, NdArray array, @Nullable Node node) {
    Tensor tensor = new Tensor(backend, array, node);
    Scope innermost = ThreadState.current().scope;
    if (innermost != null) {
      innermost.adopt(tensor);
    } else {
      tensor.watch();
    }
    return tensor;
  }

  /// A handle that somebody else closes, with [#forget()].
  static Tensor unowned(Backend backend, NdArray array, @Nullable Node node) {
    return new Tensor(backend, array, node);
  }

  void forget() {
    closed = true;
  }

  // ---- factories on the current device

  /// An F32 tensor of `values` in row-major order; without `dims`, a vector.
  public static Tensor of(float[] values, long... dims) {
    return Tensors.current()
        .of(values, dims.length == 0 ? Shape.of(values.length) : Shape.of(dims));
  }

  /// An I32 tensor of `values` in row-major order; without `dims`, a vector.
  public static Tensor of(int[] values, long... dims) {
    return Tensors.current()
        .of(values, dims.length == 0 ? Shape.of(values.length) : Shape.of(dims));
  }

  /// A BOOL tensor of `values` in row-major order; without `dims`, a vector.
  public static Tensor of(boolean[] values, long... dims) {
    return Tensors.current()
        .of(values, dims.length == 0 ? Shape.of(values.length) : Shape.of(dims));
  }

  /// An F32 scalar.
  public static Tensor scalar(double value) {
    return Tensors.current().full(value, DType.F32, Shape.scalar());
  }

  /// F32 zeros.
  public static Tensor zeros(long... dims) {
    return Tensors.current().full(0, DType.F32, Shape.of(dims));
  }

  /// F32 ones.
  public static Tensor ones(long... dims) {
    return Tensors.current().full(1, DType.F32, Shape.of(dims));
  }

  /// F32 copies of `value`.
  public static Tensor full(double value, long... dims) {
    return Tensors.current().full(value, DType.F32, Shape.of(dims));
  }

  /// The I32 numbers 0, 1, .. `count` − 1.
  public static Tensor range(long count) {
    return Tensors.current().range(DType.I32, 0, 1, count);
  }

  // ---- what it is

  public Shape shape() {
    return array.shape();
  }

  public int rank() {
    return array.rank();
  }

  /// The size of `axis`, which may be negative.
  public long dim(int axis) {
    return array.dim(axis);
  }

  public long elements() {
    return array.elements();
  }

  public DType dtype() {
    return array.dtype();
  }

  /// The device.
  public Backend backend() {
    return backend;
  }

  /// The array behind this tensor; good while the tensor is open.
  ///
  /// @throws IllegalStateException if this has been closed
  public NdArray array() {
    checkOpen("array");
    return array;
  }

  @Nullable Node node() {
    return node;
  }

  void checkOpen(String op) {
    if (closed) {
      throw new IllegalStateException(
          op
              + ": the tensor has been closed; got "
              + array.dtype()
              + " "
              + array.shape()
              + "; need an open one; keep it with scope.keep(tensor), or close its scope later"
              + (closedAt == null ? "; -Dfornax.leaks=paranoid tells where it was closed" : ""),
          closedAt);
    }
  }

  // ---- gradients

  /// Whether gradients are recorded for this tensor: it was asked for, or an input of the operation
  /// that made it has it.
  public boolean requiresGrad() {
    return node != null;
  }

  /// Makes this a leaf that collects a gradient, or drops its history; returns this.
  ///
  /// @throws DTypeException if it is not floating
  /// @throws IllegalStateException if it is the result of a recorded operation
  public Tensor requiresGrad(boolean wanted) {
    checkOpen("requiresGrad");
    Node before = node;
    if (before != null && !before.isLeaf()) {
      throw new IllegalStateException(
          "requiresGrad: not a leaf; got the result of "
              + before.op
              + "; need a tensor made from data; use detach()");
    }
    if (wanted && before == null) {
      if (!dtype().isFloating()) {
        throw new DTypeException(
            "requiresGrad: needs floating elements; got " + dtype() + " " + shape() + "; need F32");
      }
      setNode(Node.leaf(backend, array));
    } else if (!wanted && before != null) {
      setNode(null);
      before.release();
    }
    return this;
  }

  void setNode(@Nullable Node other) {
    node = other;
    if (workingCopy != null) {
      workingCopy.setNode(other);
    }
    if (watcher != null) {
      watcher.node = other;
    }
  }

  /// The gradient that backward passes have added up in this leaf, as a new handle on it; null
  /// before the first.
  public @Nullable Tensor grad() {
    NdArray gradient = gradArray();
    if (gradient == null) {
      return null;
    }
    gradient.buffer().retain();
    return wrap(backend, gradient, null);
  }

  /// The array of [#grad()].
  public @Nullable NdArray gradArray() {
    Node leaf = node;
    return leaf == null || !leaf.isLeaf() ? null : leaf.gradient;
  }

  /// Forgets the gradient.
  public void zeroGrad() {
    Node leaf = node;
    if (leaf != null && leaf.isLeaf()) {
      leaf.dropGradient();
    }
  }

  /// The same values without history.
  public Tensor detach() {
    checkOpen("detach");
    array.buffer().retain();
    return wrap(backend, array, null);
  }

  /// Computes the gradient of this scalar with respect to every leaf it was made from, and adds it
  /// to theirs. The tape is used up: values kept for it are released.
  ///
  /// @throws ShapeException if this has more than one element
  /// @throws IllegalStateException if nothing was recorded, or the graph has been used
  public void backward() {
    if (elements() != 1) {
      throw new ShapeException(
          "backward: not a scalar; got "
              + shape()
              + "; need one element, or backward(seed) with the gradient to start from");
    }
    Node root = checkBackward();
    NdArray one = Tensors.made(backend, dtype(), shape(), Owner.GRADIENTS, y -> backend.fill(y, 1));
    Backprop.runFromOne(root, one);
  }

  /// [#backward()] from a tensor of any shape, with `seed` as its gradient.
  ///
  /// @throws ShapeException if the shapes differ
  public void backward(Tensor seed) {
    seed.checkOpen("backward");
    if (!seed.shape().equals(shape())) {
      throw new ShapeException(
          "backward: seed of another shape; got " + seed.shape() + "; need " + shape());
    }
    checkSameDevice("backward", seed);
    Node root = checkBackward();
    boolean narrow = dtype() != DType.F64 && seed.dtype() != DType.F64;
    if (seed.dtype() != dtype() && !(narrow && seed.dtype().isFloating())) {
      throw new DTypeException(
          "backward: seed of another type; got " + seed.dtype() + "; need " + dtype());
    }
    seed.array.buffer().retain();
    Backprop.run(root, seed.array);
  }

  private Node checkBackward() {
    checkOpen("backward");
    Node root = node;
    if (root == null) {
      throw new IllegalStateException(
          "backward: nothing was recorded; got a tensor without history; need one made from a"
              + " tensor with requiresGrad(true), outside noGrad");
    }
    if (root.isConsumed()) {
      throw Backprop.consumed(root.op);
    }
    return root;
  }

  private void checkSameDevice(String op, Tensor other) {
    if (other.backend != backend) {
      throw Call.otherDevice(op, backend, other.backend);
    }
  }

  // ---- mixed precision

  /// Keeps a copy of this in `type`, BF16 or F16, for arithmetic, or gives it back where `type` is
  /// null; returns this. The tensor stays what it is, F32, and what optimisers and files change:
  /// the master. Only [#working()] tells that there is a copy.
  ///
  /// @throws DTypeException if this is not F32, or `type` is neither BF16 nor F16
  /// @throws IllegalStateException if this is the result of a recorded operation
  public Tensor keepWorkingCopy(@Nullable DType type) {
    checkOpen("keepWorkingCopy");
    if (type != null && !type.isHalf()) {
      throw new DTypeException("keepWorkingCopy: not 16 bits; got " + type + "; need BF16 or F16");
    }
    if (type != null && dtype() != DType.F32) {
      throw new DTypeException(
          "keepWorkingCopy: a master of another type; got "
              + dtype()
              + " "
              + shape()
              + "; need F32");
    }
    if (type != null && node != null && !node.isLeaf()) {
      throw new IllegalStateException(
          "keepWorkingCopy: not a leaf; got the result of " + node.op + "; need a parameter");
    }
    if (workingCopy != null && workingCopy.handle.dtype() != type) {
      workingCopy.close();
      workingCopy = null;
    }
    if (type != null && workingCopy == null) {
      workingCopy = new WorkingCopy(this, type);
    }
    if (watcher != null) {
      watcher.copy = copyArray();
    }
    return this;
  }

  /// What arithmetic should use: the 16-bit copy, rounded to nearest even from the present values,
  /// whose gradient is this tensor's own and F32; this tensor itself where it has no copy. The
  /// result is this tensor's: it is not to be closed.
  public Tensor working() {
    NdArray copy = workingArray();
    return copy == null || workingCopy == null ? this : workingCopy.handle;
  }

  /// The array of [#working()], or null where there is no copy: an optimiser writes it in the pass
  /// that changes the master, and then says [#updated()].
  public @Nullable NdArray workingArray() {
    checkOpen("working");
    return workingCopy == null ? null : workingCopy.array();
  }

  private @Nullable NdArray copyArray() {
    return workingCopy == null ? null : workingCopy.handle.array;
  }

  /// Notes that the values changed in place and that the copy, where there is one, changed with
  /// them.
  public void updated() {
    array.buffer().changed();
    if (workingCopy != null) {
      workingCopy.handle.array.buffer().changed();
      workingCopy.isCurrent();
    }
  }

  // ---- life

  /// Takes this out of every scope: the caller closes it.
  ///
  /// @throws IllegalStateException if its scope is another thread's
  public Tensor escape() {
    Scope owner = scope;
    if (owner != null) {
      owner.checkThread("escape");
      owner.remove(this);
      watch();
    }
    return this;
  }

  // Outside all scopes: a cleaner releases what the caller forgets.
  void watch() {
    Forgotten forgotten = new Forgotten(array, node);
    forgotten.copy = copyArray();
    forgotten.cleanable = CLEANER.register(this, forgotten);
    watcher = forgotten;
  }

  private static final class Forgotten implements Runnable {
    private final NdArray array;
    private volatile @Nullable Node node;
    volatile @Nullable NdArray copy;
    private volatile boolean closed;
    private Cleaner.@Nullable Cleanable cleanable;

    Forgotten(NdArray array, @Nullable Node node) {
      this.array = array;
      this.node = node;
    }

    void cancel() {
      closed = true;
      if (cleanable != null) {
        cleanable.clean();
      }
    }

    @Override
    public void run() {
      if (closed) {
        return;
      }
      if (LEAKS != Settings.LeakLevel.OFF) {
        LOG.log(
            System.Logger.Level.WARNING,
            "leak: a tensor outside any scope was collected unclosed; got {0}",
            array);
      }
      array.buffer().release();
      NdArray working = copy;
      if (working != null) {
        working.buffer().release();
      }
      Node history = node;
      if (history != null) {
        history.release();
      }
    }
  }

  public boolean isClosed() {
    return closed;
  }

  /// Lets go of the values and the history; memory that nothing else holds goes back to the pool at
  /// once. Closing twice does nothing, also at the same time on several threads.
  @Override
  public void close() {
    if (closed || !CLOSED.compareAndSet(this, false, true)) {
      return;
    }
    if (LEAKS == Settings.LeakLevel.PARANOID) {
      closedAt = new Throwable("closed here");
    }
    Scope owner = scope;
    if (owner != null && owner.isOfThisThread()) {
      owner.remove(this);
    }
    if (watcher != null) {
      watcher.cancel();
    }
    array.buffer().release();
    if (workingCopy != null) {
      workingCopy.close();
    }
    Node history = node;
    if (history != null) {
      history.release();
    }
  }

  // ---- reading; these wait for the device

  /// The one element.
  ///
  /// @throws ShapeException if there is not exactly one
  public double item() {
    if (elements() != 1) {
      throw new ShapeException(
          "item: not one element; got " + shape() + "; need one; use toFloatArray() for more");
    }
    return toDoubleArray()[0];
  }

  /// The elements in row-major order, converted to float.
  public float[] toFloatArray() {
    if (dtype() == DType.F32) {
      return host("toFloatArray").toArray(ValueLayout.JAVA_FLOAT);
    }
    double[] wide = toDoubleArray();
    float[] values = new float[wide.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) wide[i];
    }
    return values;
  }

  /// The elements in row-major order, converted to double.
  public double[] toDoubleArray() {
    MemorySegment data = host("toDoubleArray");
    double[] values = new double[Math.toIntExact(elements())];
    for (int i = 0; i < values.length; i++) {
      values[i] =
          switch (dtype()) {
            case F32 -> data.getAtIndex(ValueLayout.JAVA_FLOAT, i);
            case F64 -> data.getAtIndex(ValueLayout.JAVA_DOUBLE, i);
            case BF16, F16 -> dtype().fromHalf(data.getAtIndex(ValueLayout.JAVA_SHORT, i));
            case I32 -> data.getAtIndex(ValueLayout.JAVA_INT, i);
            case BOOL -> data.get(ValueLayout.JAVA_BYTE, i);
          };
    }
    return values;
  }

  /// The elements of an I32 tensor in row-major order.
  public int[] toIntArray() {
    if (dtype() != DType.I32) {
      throw new DTypeException(
          "toIntArray: wrong type; got " + dtype() + "; need I32; convert with to(I32)");
    }
    return host("toIntArray").toArray(ValueLayout.JAVA_INT);
  }

  /// The elements of a BOOL tensor in row-major order.
  public boolean[] toBooleanArray() {
    if (dtype() != DType.BOOL) {
      throw new DTypeException(
          "toBooleanArray: wrong type; got " + dtype() + "; need BOOL; compare with ne(0)");
    }
    MemorySegment data = host("toBooleanArray");
    boolean[] values = new boolean[Math.toIntExact(elements())];
    for (int i = 0; i < values.length; i++) {
      values[i] = data.get(ValueLayout.JAVA_BYTE, i) != 0;
    }
    return values;
  }

  /// The elements in row-major order, in their own type and native byte order.
  public MemorySegment toSegment() {
    return host("toSegment");
  }

  private MemorySegment host(String op) {
    checkOpen(op);
    if (array.isContiguous()) {
      return backend.readback(array).await();
    }
    NdArray copy = backend.memory().allocate(dtype(), shape(), Owner.WORKSPACE);
    try {
      backend.copy(array, copy);
      return backend.readback(copy).await();
    } finally {
      copy.buffer().release();
    }
  }

  /// Shape, type, device and values; of more than a thousand, the first and last three along each
  /// axis.
  @Override
  public String toString() {
    return closed ? "Tensor(closed " + dtype() + " " + shape() + ")" : TensorText.of(this);
  }

  // ---- elementwise, one argument

  /// `op(x)` of each element.
  ///
  /// @throws DTypeException if op does not take this type
  public Tensor unary(Unary op) {
    return UnaryOp.apply(op, this);
  }

  /// `−x`
  public Tensor neg() {
    return unary(Unary.NEGATE);
  }

  /// `|x|`
  public Tensor abs() {
    return unary(Unary.ABS);
  }

  /// −1, 0 or 1
  public Tensor sign() {
    return unary(Unary.SIGN);
  }

  /// `x²`
  public Tensor square() {
    return unary(Unary.SQUARE);
  }

  /// `√x`
  public Tensor sqrt() {
    return unary(Unary.SQRT);
  }

  /// `1 / √x`
  public Tensor rsqrt() {
    return unary(Unary.RSQRT);
  }

  /// `1 / x`
  public Tensor reciprocal() {
    return unary(Unary.RECIPROCAL);
  }

  /// `eˣ`
  public Tensor exp() {
    return unary(Unary.EXP);
  }

  /// The natural logarithm.
  public Tensor log() {
    return unary(Unary.LOG);
  }

  /// The hyperbolic tangent.
  public Tensor tanh() {
    return unary(Unary.TANH);
  }

  /// `1 / (1 + e⁻ˣ)`
  public Tensor sigmoid() {
    return unary(Unary.SIGMOID);
  }

  /// `log(1 + eˣ)`
  public Tensor softplus() {
    return unary(Unary.SOFTPLUS);
  }

  /// `log sigmoid(x) = −log(1 + e⁻ˣ)`
  public Tensor logSigmoid() {
    try (var inner = Scope.open()) {
      return inner.keep(neg().softplus().neg());
    }
  }

  /// `max(x, 0)`
  public Tensor relu() {
    return unary(Unary.RELU);
  }

  /// `x·sigmoid(x)`
  public Tensor silu() {
    return unary(Unary.SILU);
  }

  /// `½x(1 + erf(x/√2))`, PyTorch's default form. Source: arXiv:1606.08415.
  public Tensor gelu() {
    return unary(Unary.GELU_ERF);
  }

  /// `½x(1 + tanh(√(2/π)(x + 0.044715x³)))`, GPT-2's form. Source: arXiv:1606.08415.
  public Tensor geluTanh() {
    return unary(Unary.GELU_TANH);
  }

  /// The error function.
  public Tensor erf() {
    return unary(Unary.ERF);
  }

  public Tensor sin() {
    return unary(Unary.SIN);
  }

  public Tensor cos() {
    return unary(Unary.COS);
  }

  /// `min(max(x, low), high)`; the gradient is 0 outside.
  public Tensor clamp(double low, double high) {
    if (!(low <= high)) {
      throw new IllegalArgumentException(
          "clamp: bounds out of order; got " + low + " and " + high + "; need low <= high");
    }
    return BinaryOp.apply(Binary.MINIMUM, BinaryOp.apply(Binary.MAXIMUM, this, low), high);
  }

  // ---- elementwise, two arguments

  public Tensor add(Tensor b) {
    return BinaryOp.apply(Binary.ADD, this, b);
  }

  public Tensor add(double b) {
    return BinaryOp.apply(Binary.ADD, this, b);
  }

  public Tensor sub(Tensor b) {
    return BinaryOp.apply(Binary.SUBTRACT, this, b);
  }

  public Tensor sub(double b) {
    return BinaryOp.apply(Binary.SUBTRACT, this, b);
  }

  public Tensor mul(Tensor b) {
    return BinaryOp.apply(Binary.MULTIPLY, this, b);
  }

  public Tensor mul(double b) {
    return BinaryOp.apply(Binary.MULTIPLY, this, b);
  }

  public Tensor div(Tensor b) {
    return BinaryOp.apply(Binary.DIVIDE, this, b);
  }

  public Tensor div(double b) {
    return BinaryOp.apply(Binary.DIVIDE, this, b);
  }

  /// `aᵇ`
  public Tensor pow(Tensor b) {
    return BinaryOp.apply(Binary.POWER, this, b);
  }

  /// `aᵇ`
  public Tensor pow(double b) {
    return BinaryOp.apply(Binary.POWER, this, b);
  }

  /// The larger of each pair; equal values share the gradient half and half.
  public Tensor maximum(Tensor b) {
    return BinaryOp.apply(Binary.MAXIMUM, this, b);
  }

  /// The smaller of each pair; equal values share the gradient half and half.
  public Tensor minimum(Tensor b) {
    return BinaryOp.apply(Binary.MINIMUM, this, b);
  }

  // ---- comparisons and choice

  public Tensor eq(Tensor b) {
    return CompareOp.apply(Compare.EQUAL, this, b);
  }

  public Tensor eq(double b) {
    return CompareOp.apply(Compare.EQUAL, this, b);
  }

  public Tensor ne(Tensor b) {
    return CompareOp.apply(Compare.NOT_EQUAL, this, b);
  }

  public Tensor ne(double b) {
    return CompareOp.apply(Compare.NOT_EQUAL, this, b);
  }

  public Tensor lt(Tensor b) {
    return CompareOp.apply(Compare.LESS, this, b);
  }

  public Tensor lt(double b) {
    return CompareOp.apply(Compare.LESS, this, b);
  }

  public Tensor le(Tensor b) {
    return CompareOp.apply(Compare.LESS_EQUAL, this, b);
  }

  public Tensor le(double b) {
    return CompareOp.apply(Compare.LESS_EQUAL, this, b);
  }

  public Tensor gt(Tensor b) {
    return CompareOp.apply(Compare.GREATER, this, b);
  }

  public Tensor gt(double b) {
    return CompareOp.apply(Compare.GREATER, this, b);
  }

  public Tensor ge(Tensor b) {
    return CompareOp.apply(Compare.GREATER_EQUAL, this, b);
  }

  public Tensor ge(double b) {
    return CompareOp.apply(Compare.GREATER_EQUAL, this, b);
  }

  /// Both, of BOOL tensors.
  public Tensor and(Tensor b) {
    return BinaryOp.apply(Binary.MINIMUM, needBool("and"), b.needBool("and"));
  }

  /// Either, of BOOL tensors.
  public Tensor or(Tensor b) {
    return BinaryOp.apply(Binary.MAXIMUM, needBool("or"), b.needBool("or"));
  }

  /// The opposite of a BOOL tensor.
  public Tensor not() {
    return CompareOp.apply(Compare.EQUAL, needBool("not"), 0);
  }

  private Tensor needBool(String op) {
    if (dtype() != DType.BOOL) {
      throw new DTypeException(
          op + ": needs BOOL; got " + dtype() + " " + shape() + "; compare first");
    }
    return this;
  }

  /// `a` where this BOOL tensor is true, else `b`; all three broadcast.
  public Tensor where(Tensor a, Tensor b) {
    return WhereOp.apply(this, a, b);
  }

  /// This with `value` where `mask` (BOOL, broadcast) is true.
  public Tensor maskedFill(Tensor mask, double value) {
    try (var inner = Scope.open()) {
      Tensor filled = Tensors.on(backend).full(value, dtype(), Shape.scalar());
      return inner.keep(WhereOp.apply(mask, filled, this));
    }
  }

  // ---- reductions

  /// The sum of all elements.
  public Tensor sum() {
    return ReduceOp.sum(this, false, ReduceOp.allAxes(this));
  }

  /// The sums over `axes`, which are dropped.
  public Tensor sum(int... axes) {
    return ReduceOp.sum(this, false, axes);
  }

  /// The sums over `axis`, kept with size 1 if `keepAxis`.
  public Tensor sum(int axis, boolean keepAxis) {
    return ReduceOp.sum(this, keepAxis, axis);
  }

  /// The mean of all elements; NaN of nothing.
  public Tensor mean() {
    return ReduceOp.mean(this, false, ReduceOp.allAxes(this));
  }

  /// The means over `axes`, which are dropped.
  public Tensor mean(int... axes) {
    return ReduceOp.mean(this, false, axes);
  }

  /// The means over `axis`, kept with size 1 if `keepAxis`.
  public Tensor mean(int axis, boolean keepAxis) {
    return ReduceOp.mean(this, keepAxis, axis);
  }

  /// The largest element.
  public Tensor max() {
    try (var inner = Scope.open()) {
      return inner.keep(flatten().max(0));
    }
  }

  /// The largest elements along `axis`, which is dropped; the gradient goes to the first.
  public Tensor max(int axis) {
    return ReduceOp.extreme(Reduce.MAX, this, axis, false);
  }

  /// The largest elements along `axis`, kept with size 1 if `keepAxis`.
  public Tensor max(int axis, boolean keepAxis) {
    return ReduceOp.extreme(Reduce.MAX, this, axis, keepAxis);
  }

  /// The smallest element.
  public Tensor min() {
    try (var inner = Scope.open()) {
      return inner.keep(flatten().min(0));
    }
  }

  /// The smallest elements along `axis`, which is dropped; the gradient goes to the first.
  public Tensor min(int axis) {
    return ReduceOp.extreme(Reduce.MIN, this, axis, false);
  }

  /// The smallest elements along `axis`, kept with size 1 if `keepAxis`.
  public Tensor min(int axis, boolean keepAxis) {
    return ReduceOp.extreme(Reduce.MIN, this, axis, keepAxis);
  }

  /// The index (I32) of the first largest element along `axis`, which is dropped.
  public Tensor argmax(int axis) {
    return ReduceOp.argmax(this, axis);
  }

  /// `Σ (x − mean)² / (n − 1)` over `axes`, or over all without any: the sample's variance, as
  /// PyTorch's default.
  public Tensor variance(int... axes) {
    return variance(1, axes);
  }

  /// `Σ (x − mean)² / n` over `axes`, or over all without any.
  public Tensor populationVariance(int... axes) {
    return variance(0, axes);
  }

  private Tensor variance(int correction, int... axes) {
    int[] over = axes.length == 0 ? ReduceOp.allAxes(this) : axes;
    try (var inner = Scope.open()) {
      Tensor squares = sub(ReduceOp.mean(this, true, over)).square();
      double n = elements() / (double) ReduceOp.kept("variance", this, over).elements();
      return inner.keep(ReduceOp.sum(squares, false, over).div(n - correction));
    }
  }

  /// `log Σ eˣ` along `axis`, which is dropped; stable.
  public Tensor logSumExp(int axis) {
    try (var inner = Scope.open()) {
      Tensor top = detach().max(axis, true);
      Tensor shift = top.maskedFill(top.abs().eq(Double.POSITIVE_INFINITY), 0);
      Tensor log = sub(shift).exp().sum(axis, true).log().add(shift);
      return inner.keep(log.squeeze(axis));
    }
  }

  /// The cosine of the angle between vectors along `axis`, which is dropped: `Σ a·b / (‖a‖·‖b‖)`,
  /// norms being at least 1e-8, as PyTorch's. The shapes broadcast.
  public Tensor cosineSimilarity(Tensor b, int axis) {
    try (var inner = Scope.open()) {
      Tensor norms = norm(axis).mul(b.norm(axis));
      return inner.keep(mul(b).sum(axis, true).div(norms).squeeze(axis));
    }
  }

  private Tensor norm(int axis) {
    return square().sum(axis, true).clamp(1e-16, Double.POSITIVE_INFINITY).sqrt();
  }

  /// The running sum along `axis`.
  public Tensor cumulativeSum(int axis) {
    return ReduceOp.cumulativeSum(this, axis);
  }

  // ---- linear algebra

  /// The matrix product, with leading axes broadcast; a vector is a row on the left and a column on
  /// the right. Shapes: `[.., M, K] · [.., K, N] → [.., M, N]`. Gradient: `da = dy·bᵀ, db = aᵀ·dy`.
  ///
  /// @throws ShapeException if the inner sizes differ or the leading axes do not broadcast
  public Tensor matmul(Tensor b) {
    try (var inner = Scope.open()) {
      return inner.keep(MatmulOp.apply(this, b));
    }
  }

  /// `activation(x·w + bias)` over the last axis. Shapes: `x [.., K], w [K, M], bias [M] → y [..,
  /// M]`.
  public Tensor linear(Tensor w, @Nullable Tensor bias, @Nullable Unary activation) {
    return LinearOp.apply(this, w, bias, activation);
  }

  /// `x·w + bias`.
  public Tensor linear(Tensor w, @Nullable Tensor bias) {
    return LinearOp.apply(this, w, bias, null);
  }

  // ---- images

  /// A convolution, which in this field is a cross-correlation: at each position the sum of `x·w`
  /// over the channels of a group and the filter's elements, plus the bias. Shapes: `x [N, C, H,
  /// W], w [O, C/groups, h, w], bias [O] → y [N, O, H', W']` with `H' = ⌊(H + 2·padding −
  /// dilation·(h − 1) − 1)/stride⌋ + 1`. For a sequence, take a height of 1. Source:
  /// arXiv:1603.07285.
  ///
  /// @throws ShapeException if the channels or groups do not fit, or the filter is larger than the
  ///   padded image
  public Tensor conv2d(Tensor w, @Nullable Tensor bias, Conv2dOptions options) {
    return Conv2dOp.apply(this, w, bias, options);
  }

  /// The same with stride 1, without padding, dilation and groups.
  public Tensor conv2d(Tensor w, @Nullable Tensor bias) {
    return Conv2dOp.apply(this, w, bias, Conv2dOptions.DEFAULT);
  }

  /// What each element of a filter of the size `kernel` meets at each position, 0 outside the
  /// images; groups do not matter. Shapes: `x [N, C, H, W] → [N, C, h, w, H', W']`, sizes as those
  /// of [#conv2d(Tensor, Tensor, Conv2dOptions)].
  public Tensor unfold2d(Extent kernel, Conv2dOptions options) {
    return Conv2dOp.unfold(this, kernel, options);
  }

  /// The largest element of each window of images `[N, C, H, W]`, as PyTorch's; the gradient goes
  /// to the first of equals. Shapes: `→ [N, C, H', W']` with `H' = ⌊(H + 2·padding −
  /// window)/stride⌋ + 1`.
  public Tensor maxPool2d(Pool2dOptions options) {
    return Pool2dOp.max(this, options);
  }

  /// The largest element of each square window, side by side.
  public Tensor maxPool2d(int window) {
    return Pool2dOp.max(this, Pool2dOptions.of(window));
  }

  /// The mean of each window of images `[N, C, H, W]`, with the padding's zeros counted in, as
  /// PyTorch's. Shapes as in [#maxPool2d(Pool2dOptions)]. For the mean of whole images, take
  /// `mean(2, 3)`.
  public Tensor avgPool2d(Pool2dOptions options) {
    return Pool2dOp.mean(this, options);
  }

  /// The mean of each square window, side by side.
  public Tensor avgPool2d(int window) {
    return Pool2dOp.mean(this, Pool2dOptions.of(window));
  }

  // ---- views

  /// The last two axes swapped.
  public Tensor transpose() {
    return swapAxes(-2, -1);
  }

  /// Two axes swapped.
  public Tensor swapAxes(int a, int b) {
    int[] axes = ReduceOp.allAxes(this);
    int i = shape().axis("swapAxes", a);
    int j = shape().axis("swapAxes", b);
    axes[i] = j;
    axes[j] = i;
    return ViewOp.permute(this, axes);
  }

  /// The axes in the order `axes`.
  public Tensor permute(int... axes) {
    return ViewOp.permute(this, axes);
  }

  /// The same elements in another shape; one size may be −1 and is worked out. Copies only where it
  /// must.
  public Tensor reshape(long... dims) {
    return ViewOp.reshape(this, dims);
  }

  /// All elements in one axis.
  public Tensor flatten() {
    return ViewOp.reshape(this, elements());
  }

  /// Stretched by broadcasting.
  public Tensor expand(long... dims) {
    return ViewOp.expand(this, Shape.of(dims));
  }

  /// The elements `start` (included) to `end` (excluded) of `axis`.
  public Tensor slice(int axis, long start, long end) {
    return ViewOp.slice(this, axis, start, end);
  }

  /// The element `index` of `axis`, which is dropped; a negative index counts from the end.
  public Tensor select(int axis, long index) {
    int at = shape().axis("select", axis);
    long size = dim(at);
    if (index < -size || index >= size) {
      throw new ShapeException(
          "select: index outside the axis; got "
              + index
              + " of axis "
              + axis
              + " of "
              + shape()
              + "; need -"
              + size
              + " <= index < "
              + size);
    }
    long from = index < 0 ? index + size : index;
    try (var inner = Scope.open()) {
      return inner.keep(slice(at, from, from + 1).squeeze(at));
    }
  }

  /// Parts of `size` elements along `axis`; the last may be smaller.
  public List<Tensor> split(int axis, long size) {
    int at = shape().axis("split", axis);
    if (size < 1) {
      throw new ShapeException("split: part size below 1; got " + size + " for " + shape());
    }
    List<Tensor> parts = new ArrayList<>();
    for (long start = 0; start < dim(at); start += size) {
      parts.add(slice(at, start, Math.min(dim(at), start + size)));
    }
    return parts;
  }

  /// Without `axis`, whose size is 1.
  public Tensor squeeze(int axis) {
    int at = shape().axis("squeeze", axis);
    if (dim(at) != 1) {
      throw new ShapeException(
          "squeeze: the axis has more than one element; got axis "
              + axis
              + " of "
              + shape()
              + "; need size 1");
    }
    return ViewOp.reshape(this, shape().without(at).toArray());
  }

  /// With one more axis of size 1, which becomes axis `axis`.
  public Tensor unsqueeze(int axis) {
    return ViewOp.reshape(this, shape().insert(axis, 1).toArray());
  }

  /// The tensors joined along `axis`.
  public static Tensor concat(int axis, Tensor... parts) {
    return ViewOp.concat(axis, parts);
  }

  /// Tensors of one shape joined along a new axis `axis`.
  public static Tensor stack(int axis, Tensor... parts) {
    try (var inner = Scope.open()) {
      Tensor[] wider = new Tensor[parts.length];
      for (int i = 0; i < parts.length; i++) {
        wider[i] = parts[i].unsqueeze(axis);
      }
      return inner.keep(ViewOp.concat(axis, wider));
    }
  }

  /// Row-major without gaps: this itself if it is, else a copy.
  public Tensor contiguous() {
    return array().isContiguous() ? ViewOp.reshape(this, shape().toArray()) : ViewOp.copy(this);
  }

  /// A copy.
  public Tensor copy() {
    return ViewOp.copy(this);
  }

  // ---- by index

  /// `y[.., i, ..] = x[.., indices[.., i, ..], ..]` at `axis`; indices (I32) have the shape of the
  /// result.
  public Tensor gather(int axis, Tensor indices) {
    return GatherOp.gather(this, axis, indices);
  }

  /// This plus `source`, each element added at its index along `axis`.
  public Tensor scatterAdd(int axis, Tensor indices, Tensor source) {
    return GatherOp.scatterAdd(this, axis, indices, source);
  }

  /// The elements `indices` (I32 `[n]`) of `axis`.
  public Tensor indexSelect(int axis, Tensor indices) {
    int at = shape().axis("indexSelect", axis);
    if (indices.rank() != 1) {
      throw new ShapeException(
          "indexSelect: indices are not a vector; got " + indices.shape() + "; need [n]");
    }
    long[] column = new long[rank()];
    Arrays.fill(column, 1);
    column[at] = indices.dim(0);
    try (var inner = Scope.open()) {
      Tensor wide = indices.reshape(column).expand(shape().with(at, indices.dim(0)).toArray());
      return inner.keep(gather(at, wide));
    }
  }

  /// Rows of this table `[V, C]` by `indices` (I32, any shape): `[.., C]`. Equal indices add up in
  /// the gradient.
  public Tensor embedding(Tensor indices) {
    return GatherOp.embedding(this, indices);
  }

  /// F32 rows of `classes` elements, 1 at the element that this I32 tensor names, else 0.
  public Tensor oneHot(long classes) {
    if (dtype() != DType.I32) {
      throw new DTypeException("oneHot: wrong type; got " + dtype() + " " + shape() + "; need I32");
    }
    try (var inner = Scope.open()) {
      Tensor names = Tensors.on(backend).range(DType.I32, 0, 1, classes);
      return inner.keep(unsqueeze(-1).eq(names).to(DType.F32));
    }
  }

  // ---- softmax, normalisation, attention

  /// `exp(x − m) / Σ exp(x − m)`, `m = max(x)` over `axis`. Gradient: `dx = y ⊙ (dy − Σ dy⊙y)`. A
  /// row of −∞ gives NaN.
  public Tensor softmax(int axis) {
    return SoftmaxOp.softmax(this, axis);
  }

  /// `x − m − log Σ exp(x − m)` over `axis`. Gradient: `dx = dy − exp(y)·Σ dy`.
  public Tensor logSoftmax(int axis) {
    return SoftmaxOp.logSoftmax(this, axis);
  }

  /// `(x − mean) / √(variance + epsilon)·weight + bias` over the axes of `weight`, or the last one
  /// where it is null. Source: arXiv:1607.06450.
  public Tensor layerNorm(@Nullable Tensor weight, @Nullable Tensor bias, double epsilon) {
    Tensor parameter = weight != null ? weight : bias;
    return NormOp.layerNorm(this, parameter == null ? 1 : parameter.rank(), weight, bias, epsilon);
  }

  /// The same over the last `axes` axes, without weight and bias.
  public Tensor layerNorm(int axes, double epsilon) {
    return NormOp.layerNorm(this, axes, null, null, epsilon);
  }

  /// `sum = x + addend` and `normal = layerNorm(sum)` in one pass, where a branch joins a residual
  /// stream and the next branch leaves it. Shapes: `x, addend → sum, normal`, all of one shape.
  /// Gradients: `sum` gets its own `dy` and that of the norm, in one pass as well, and x and addend
  /// get both.
  ///
  /// @throws ShapeException if x and addend differ in shape, or weight and bias do not fit
  public Residual addLayerNorm(
      Tensor addend, @Nullable Tensor weight, @Nullable Tensor bias, double epsilon) {
    Tensor parameter = weight != null ? weight : bias;
    int axes = parameter == null ? 1 : parameter.rank();
    return NormOp.addLayerNorm(this, addend, axes, weight, bias, epsilon);
  }

  /// `x / √(mean(x²) + epsilon)·weight` over the axes of `weight`, or the last one where it is
  /// null. Source: arXiv:1910.07467.
  public Tensor rmsNorm(@Nullable Tensor weight, double epsilon) {
    return NormOp.rmsNorm(this, weight == null ? 1 : weight.rank(), weight, epsilon);
  }

  /// A batch normalised by its own mean and variance.
  ///
  /// @param values the batch normalised
  /// @param mean of each channel, without gradient: `[C]`
  /// @param variance of each channel over n, without gradient: `[C]`
  public record BatchNormalized(Tensor values, Tensor mean, Tensor variance) {}

  /// `(x − mean) / √(variance + epsilon)·weight + bias` for each channel, with the batch's own mean
  /// and variance. Shapes: `x [N, C, ..], weight, bias [C]`. Source: arXiv:1502.03167.
  public BatchNormalized batchNorm(@Nullable Tensor weight, @Nullable Tensor bias, double epsilon) {
    return BatchNormOp.train(this, weight, bias, epsilon);
  }

  /// The same with a mean and variance that are given: `[C]`.
  public Tensor batchNorm(
      @Nullable Tensor weight,
      @Nullable Tensor bias,
      Tensor mean,
      Tensor variance,
      double epsilon) {
    return BatchNormOp.evaluate(this, weight, bias, mean, variance, epsilon);
  }

  /// `softmax(scale·q·kᵀ)·v`. Shapes: `q [B, H, Tq, D], k [B, H, Tk, D], v [B, H, Tk, E] → [B, H,
  /// Tq, E]`. A query that sees no key gets 0. Source: arXiv:1706.03762 §3.2.1.
  public static Tensor attention(Tensor q, Tensor k, Tensor v, AttentionSpec spec) {
    return AttentionOp.attention(q, k, v, spec);
  }

  /// Attention among the positions of one sequence, from one projection that holds queries, keys
  /// and values side by side: `[B, T, 3·heads·D] → [B, T, heads·D]`.
  public static Tensor selfAttention(Tensor qkv, int heads, AttentionSpec spec) {
    return AttentionOp.selfAttention(qkv, heads, spec);
  }

  // ---- losses

  /// The mean of `−log softmax(x)[target]`. Shapes: `x [.., C], targets (I32) [..]`.
  public Tensor crossEntropy(Tensor targets) {
    return CrossEntropyOp.apply(this, targets, LossOptions.DEFAULT);
  }

  /// Cross entropy with another reduction, ignored targets or label smoothing.
  public Tensor crossEntropy(Tensor targets, LossOptions options) {
    return CrossEntropyOp.apply(this, targets, options);
  }

  /// `x.matmul(w).crossEntropy(targets, options)` in chunks of rows, so that all the logits never
  /// exist at once. Shapes: `x [.., K], w [K, C], targets (I32) [..]`.
  public Tensor linearCrossEntropy(Tensor w, Tensor targets, LossOptions options) {
    return CrossEntropyOp.linear(this, w, targets, options);
  }

  /// `log(1 + eˣ) − x·t`, the cross entropy of a logit against a probability t; stable.
  public Tensor binaryCrossEntropyWithLogits(Tensor targets, Reduction reduction) {
    try (var inner = Scope.open()) {
      sameShape("binaryCrossEntropyWithLogits", targets);
      return inner.keep(softplus().sub(mul(targets)).reduced(reduction));
    }
  }

  /// The mean of [#binaryCrossEntropyWithLogits(Tensor, Reduction)].
  public Tensor binaryCrossEntropyWithLogits(Tensor targets) {
    return binaryCrossEntropyWithLogits(targets, Reduction.MEAN);
  }

  /// `(x − t)²`
  public Tensor meanSquaredError(Tensor targets, Reduction reduction) {
    try (var inner = Scope.open()) {
      sameShape("meanSquaredError", targets);
      return inner.keep(sub(targets).square().reduced(reduction));
    }
  }

  /// The mean of [#meanSquaredError(Tensor, Reduction)].
  public Tensor meanSquaredError(Tensor targets) {
    return meanSquaredError(targets, Reduction.MEAN);
  }

  private void sameShape(String op, Tensor targets) {
    if (!shape().equals(targets.shape())) {
      throw new ShapeException(
          op
              + ": shapes differ; got x "
              + shape()
              + " and targets "
              + targets.shape()
              + "; need one shape");
    }
  }

  private Tensor reduced(Reduction reduction) {
    return switch (reduction) {
      case MEAN -> mean();
      case SUM -> sum();
      case NONE -> this;
    };
  }

  // ---- randomness and order

  /// Each element dropped with the probability `p`, the others divided by 1 − p. The mask depends
  /// on the generator's seed and step and on the element's index, not on the device.
  public Tensor dropout(double p, Generator generator) {
    return DropoutOp.apply(this, p, generator);
  }

  /// One index (I32) drawn from each row of weights along the last axis; they need not sum to 1.
  /// Shapes: `[.., C] → [..]`.
  public Tensor multinomial(Generator generator) {
    return SampleOp.multinomial(this, generator);
  }

  /// The `k` largest elements along the last axis, largest first.
  ///
  /// @param values `[.., k]`
  /// @param indices where they were, I32 `[.., k]`
  public record TopK(Tensor values, Tensor indices) {}

  /// The `k` largest elements along the last axis, largest first.
  public TopK topK(int k) {
    return SampleOp.topK(this, k);
  }

  /// The elements along the last axis in order.
  ///
  /// @param indices where they were, I32
  public record Sorted(Tensor values, Tensor indices) {}

  /// Sorts along the last axis, stably.
  public Sorted sort(boolean descending) {
    return SampleOp.sort(this, descending);
  }

  /// Sorts along `axis`, stably.
  public Sorted sort(int axis, boolean descending) {
    int at = shape().axis("sort", axis);
    try (var inner = Scope.open()) {
      Sorted last = swapAxes(at, -1).sort(descending);
      return new Sorted(
          inner.keep(last.values().swapAxes(at, -1)), inner.keep(last.indices().swapAxes(at, -1)));
    }
  }

  /// The indices (I32) that sort along `axis`, stably.
  public Tensor argsort(int axis, boolean descending) {
    try (var inner = Scope.open()) {
      return inner.keep(detach().sort(axis, descending).indices());
    }
  }

  // ---- conversion

  /// Converted to `dtype`; to I32 it truncates, to BOOL it is x ≠ 0.
  public Tensor to(DType dtype) {
    return CastOp.to(this, dtype);
  }

  /// Moved to another device.
  public Tensor to(Backend device) {
    return CastOp.to(this, device);
  }

  // ---- in place

  /// Takes over the values of `other` (broadcast, converted).
  ///
  /// @throws IllegalStateException if gradients are recorded for this
  public Tensor copyInPlace(Tensor other) {
    NdArray values = operand("copyInPlace", other);
    backend.copy(values, changing("copyInPlace"));
    return changed("copyInPlace", other);
  }

  /// Adds `other` (broadcast).
  ///
  /// @throws DTypeException if the types have no sum, or one of another type
  /// @throws IllegalStateException if gradients are recorded for this
  public Tensor addInPlace(Tensor other) {
    NdArray values = operand("addInPlace", other);
    DType _ = BinaryOp.common("addInPlace", Binary.ADD, this, other);
    NdArray y = changing("addInPlace");
    backend.binary(Binary.ADD, y, values, y);
    return changed("addInPlace", other);
  }

  // `other`, expanded to this.
  private NdArray operand(String op, Tensor other) {
    checkOpen(op);
    other.checkOpen(op);
    checkSameDevice(op, other);
    NdArray values = other.array.expand(shape());
    if (values.buffer() == array.buffer() && !values.layout().equals(array.layout())) {
      throw new IllegalArgumentException(
          op
              + ": the other tensor is another view of the memory that changes; got "
              + values
              + " and "
              + array
              + "; need other memory; give it a copy()");
    }
    return values;
  }

  /// Multiplies by `factor`.
  ///
  /// @throws IllegalStateException if gradients are recorded for this
  public Tensor mulInPlace(double factor) {
    BinaryOp.checkNumber("mulInPlace", Binary.MULTIPLY, this, factor);
    NdArray y = changing("mulInPlace");
    backend.binary(Binary.MULTIPLY, y, factor, y);
    return changed("mulInPlace");
  }

  /// Sets every element to `value`.
  ///
  /// @throws IllegalStateException if gradients are recorded for this
  public Tensor fillInPlace(double value) {
    backend.fill(changing("fillInPlace"), value);
    return this;
  }

  private Tensor changed(String op, Tensor... inputs) {
    Numerics numerics = Numerics.current();
    if (numerics != null) {
      numerics.changed(op, this, inputs);
    }
    return this;
  }

  private NdArray changing(String op) {
    checkOpen(op);
    if (node != null && ThreadState.current().recording) {
      throw new IllegalStateException(
          op
              + ": gradients are recorded for this tensor; got "
              + dtype()
              + " "
              + shape()
              + "; need noGrad, or the form that returns a new tensor");
    }
    for (int axis = 0; axis < rank(); axis++) {
      if (array.layout().stride(axis) == 0 && dim(axis) > 1) {
        throw new IllegalStateException(
            op
                + ": the tensor repeats elements; got "
                + array
                + "; need one whose elements are its own; change a copy(), or what was expanded");
      }
    }
    array.buffer().changed();
    return array;
  }
}
