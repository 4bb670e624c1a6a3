package fornax.cuda;

import fornax.array.DType;
import fornax.backend.AttentionOptions;
import fornax.backend.NdArray;
import fornax.backend.Philox;
import fornax.backend.Workspace;
import org.jspecify.annotations.Nullable;

/// Attention and its gradient without an array of scores: in F32 on the ordinary cores
/// (`attention.cu`), in BF16 and F16 on tensor cores (`attentionmma.cu`, `attentionmmaf16.cu`)
/// where the card has them.
final class Attention {
  /// The widths of heads that there are kernels for; others are filled up with zeros.
  private static final int[] WIDTHS = {32, 64, 128};

  /// The widest heads' tiles need more shared memory than cards before this capability have.
  private static final int WIDEST = 128;

  private static final int WIDEST_CAPABILITY = 80;

  private static final long MAX_GRID_YZ = 65535;

  /// How the kernels for one width of heads split the work.
  ///
  /// @param threads of a block
  /// @param rows of a block's own, in the forward function
  /// @param gradientRows likewise in the gradient
  /// @param shared bytes of shared memory that the host gives, forward, for dq, and for dk and dv
  record Split(
      int threads, int rows, int gradientRows, int shared, int sharedForQ, int sharedForKv) {
    /// `attention.cu`.
    static Split ofCores(int width) {
      return width == 128 ? new Split(256, 32, 16, 0, 0, 0) : new Split(256, 64, 32, 0, 0, 0);
    }

    /// `attentionmma.cu`: rows of 8 more elements than the width, in tiles of so many columns, two
    /// of them twice; beside them the block's own 64 keys and values where registers would not do.
    static Split ofTensorCores(int width) {
      int row = 2 * (width + 8);
      int tiles = 4 * (width == 128 ? 32 : 64) * row;
      int gradientTiles = 4 * 32 * row;
      int own = width == 128 ? 2 * 64 * row : 0;
      return new Split(128, 64, 64, tiles, gradientTiles, gradientTiles + own);
    }
  }

  private final CudaDevice device;

  Attention(CudaDevice device) {
    this.device = device;
  }

  /// The arrays of one call; those of the gradient are null in the forward pass.
  record Arrays(
      NdArray q,
      NdArray k,
      NdArray v,
      @Nullable NdArray mask,
      NdArray y,
      NdArray logSumExp,
      @Nullable NdArray dy,
      @Nullable NdArray dq,
      @Nullable NdArray dk,
      @Nullable NdArray dv) {
    private long queries() {
      return q.dim(2);
    }

    private long keys() {
      return k.dim(2);
    }

    // The arrays of the type that attention is done in.
    private @Nullable NdArray[] values() {
      return new @Nullable NdArray[] {q, k, v, y, dy, dq, dk, dv};
    }

    private int width() {
      long widest = Math.max(q.dim(3), v.dim(3));
      for (int width : WIDTHS) {
        if (widest <= width) {
          return width;
        }
      }
      return 0;
    }

    private boolean fits() {
      for (NdArray array : values()) {
        if (array != null && array.dtype() != q.dtype()) {
          return false;
        }
      }
      return (q.dtype() == DType.F32 || q.dtype().isHalf())
          && logSumExp.dtype() == DType.F32
          && width() > 0
          && q.dim(0) <= MAX_GRID_YZ
          && q.dim(1) <= MAX_GRID_YZ
          && Math.max(queries(), keys()) < 1L << 30;
    }

    // Whether every row of every array can be moved 16 bytes at a time.
    private boolean aligned() {
      for (NdArray array : values()) {
        if (array == null) {
          continue;
        }
        long bytes = array.dtype().bytes();
        long all = CudaBlock.address(array) | array.dim(3) * bytes;
        for (int axis = 0; axis < 3; axis++) {
          all |= array.dim(axis) == 1 ? 0 : array.layout().stride(axis) * bytes;
        }
        if (all % 16 != 0) {
          return false;
        }
      }
      return true;
    }
  }

  /// Whether there was a kernel for these operands.
  boolean attention(Arrays x, AttentionOptions options) {
    if (!x.fits()) {
      return false;
    }
    Split split = split(x);
    launch("attention", x, options, null, x.queries(), split, split.rows, split.shared);
    return true;
  }

  /// Whether there were kernels for these operands.
  boolean attentionGradient(Arrays x, AttentionOptions options) {
    if (!x.fits()) {
      return false;
    }
    try (var work = new Workspace(device.memory())) {
      NdArray delta = work.allocate(DType.F32, x.logSumExp().shape());
      Split split = split(x);
      int tile = split.gradientRows;
      int forQ = split.sharedForQ;
      int forKv = split.sharedForKv;
      launch("attention_gradient_q", x, options, delta, x.queries(), split, tile, forQ);
      launch("attention_gradient_kv", x, options, delta, x.keys(), split, tile, forKv);
    }
    return true;
  }

  private boolean onTensorCores(Arrays x) {
    DType type = x.q().dtype();
    int capability = device.capability();
    return type.isHalf()
        && capability >= KernelSource.leastCapability(tensorCoreFile(type))
        && (x.width() < WIDEST || capability >= WIDEST_CAPABILITY);
  }

  private static String tensorCoreFile(DType type) {
    return type == DType.F16 ? "attentionmmaf16" : "attentionmma";
  }

  private Split split(Arrays x) {
    return onTensorCores(x) ? Split.ofTensorCores(x.width()) : Split.ofCores(x.width());
  }

  private void launch(
      String kernel,
      Arrays x,
      AttentionOptions options,
      @Nullable NdArray delta,
      long rows,
      Split split,
      int tile,
      int shared) {
    boolean mma = onTensorCores(x);
    DType type = x.q().dtype();
    NdArray mask = x.mask();
    boolean drops = options.state() != null;
    Launch launch =
        device
            .kernel(
                delta == null ? "attention" : "attentionGradient",
                mma ? tensorCoreFile(type) : "attention",
                kernel
                    + (mma
                        ? type == DType.F16 ? "_mma_f16_" : "_mma_"
                        : "_" + Elementwise.lower(type) + "_")
                    + x.width())
            .struct()
            .word(address(x.q()))
            .word(address(x.k()))
            .word(address(x.v()))
            .word(address(x.y()))
            .word(address(x.dy()))
            .word(address(x.dq()))
            .word(address(x.dk()))
            .word(address(x.dv()))
            .word(address(x.logSumExp()))
            .word(address(delta))
            .word(address(mask))
            .word(address(options.state()));
    for (NdArray array : x.values()) {
      place(launch, array);
    }
    place(launch, mask);
    launch
        .word(mask == null ? 0 : mask.layout().stride(3))
        .pair((int) x.q().dim(1), (int) x.queries())
        .pair((int) x.keys(), (int) x.q().dim(3))
        .pair((int) x.v().dim(3), Float.floatToRawIntBits((float) options.scale()))
        .pair(options.causal() ? 1 : 0, x.aligned() ? 1 : 0)
        .pair(options.stream(), drops ? Philox.keepThreshold(options.dropout()) : 0)
        .pair(drops ? Float.floatToRawIntBits((float) (1 / (1 - options.dropout()))) : 0, 0)
        .shared(shared)
        .run((rows + tile - 1) / tile, x.q().dim(1), x.q().dim(0), split.threads, 1);
  }

  private static long address(@Nullable NdArray array) {
    return array == null ? 0 : CudaBlock.address(array);
  }

  private static void place(Launch launch, @Nullable NdArray array) {
    for (int axis = 0; axis < 3; axis++) {
      launch.word(array == null ? 0 : array.layout().stride(axis));
    }
  }
}
