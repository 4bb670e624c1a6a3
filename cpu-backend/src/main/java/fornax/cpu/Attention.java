package fornax.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/// Scaled dot-product attention and its gradient, see [AttentionArgs]; no buffer grows with
/// `queries · keys`.
///
/// Scores are computed transposed, `sᵀ = k·qᵀ`, in panels of one tile's width of queries: a query
/// is a vector lane, so the softmax needs no sum across lanes, and a panel of weights is at once a
/// packed right operand for `yᵀ = vᵀ·pᵀ`. The gradient computes the weights again from `logSumExp`,
/// block by block (arXiv:2307.08691, algorithm 2).
///
/// The bits of a result do not depend on the number of threads: a task owns whole outputs and walks
/// over blocks in an order given by the shapes.
final class Attention {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  /// Queries of one forward task where there are too few heads to go round; a task packs all keys
  /// and values it needs, so fewer queries would pay more for packing.
  private static final int TASK_PANELS = 8;

  /// Queries and keys of one block of the gradient, whole panels of every kernel's tiles: sums are
  /// cut in the same places whatever the width of vectors.
  private static final int QUERY_BLOCK = 128;

  private static final int KEY_BLOCK = 120;

  private static final MatmulKernels MATMUL = Matmul.KERNELS;

  private static final AttentionKernels LOOPS =
      Simd.AVAILABLE
          ? new AttentionVectorKernels(MATMUL.tileColumns())
          : new AttentionKernels(MATMUL.tileColumns());

  private static final ThreadLocal<Scratch> SCRATCH = ThreadLocal.withInitial(Scratch::new);

  private Attention() {}

  /// Writes `y` and `logSumExp`.
  static void forward(Workers workers, AttentionArgs args) {
    forward(workers, args, MATMUL, LOOPS);
  }

  static void forward(
      Workers workers, AttentionArgs args, MatmulKernels matmul, AttentionKernels loops) {
    AttentionArgs.Sizes size = args.sizes();
    int heads = size.batch() * size.heads();
    int panels = Math.ceilDiv(size.queries(), loops.width);
    int chunk = heads >= 2 * workers.threads() ? panels : Math.min(panels, TASK_PANELS);
    if (heads == 0 || panels == 0) {
      return;
    }
    int chunks = Math.ceilDiv(panels, chunk);
    workers.parallel(
        work(size),
        heads * chunks,
        task -> {
          int first = task % chunks * chunk * loops.width;
          int last = Math.min(size.queries(), first + chunk * loops.width);
          new Head(args, matmul, loops, task / chunks).forward(first, last);
        });
  }

  /// Writes `dq`, `dk` and `dv`, from what [#forward] read and wrote.
  static void backward(Workers workers, AttentionArgs args, AttentionArgs.Gradients gradients) {
    backward(workers, args, gradients, MATMUL, LOOPS);
  }

  static void backward(
      Workers workers,
      AttentionArgs args,
      AttentionArgs.Gradients gradients,
      MatmulKernels matmul,
      AttentionKernels loops) {
    AttentionArgs.Sizes size = args.sizes();
    workers.parallel(
        2 * work(size),
        size.batch() * size.heads(),
        task -> new Head(args, matmul, loops, task).backward(gradients));
  }

  private static long work(AttentionArgs.Sizes size) {
    return (long) size.batch()
        * size.heads()
        * size.queries()
        * (size.keys() + 1)
        * (size.width() + size.valueWidth());
  }

  /// The buffers of one thread, kept from call to call.
  private static final class Scratch {
    private final float[][] buffers = new float[Use.values().length][0];

    float[] get(Use use, long length) {
      int index = use.ordinal();
      if (buffers[index].length < length) {
        buffers[index] = new float[Math.toIntExact(length)];
      }
      return buffers[index];
    }
  }

  private enum Use {
    TILE,
    SCORES,
    FILTER,
    WEIGHT_GRADIENTS,
    KEYS,
    KEYS_BY_WIDTH,
    VALUES,
    QUERIES,
    QUERIES_BY_WIDTH,
    OUTPUT_GRADIENTS,
    OUTPUT_GRADIENTS_BY_WIDTH,
    OUTPUTS,
    TRANSPOSED,
    DQ,
    DK,
    DV,
    LOG_SUM_EXP,
    DELTA
  }

  /// The work on one head.
  private static final class Head {
    final AttentionArgs args;
    final MatmulKernels matmul;
    final AttentionKernels loops;
    final Scratch scratch = SCRATCH.get();
    final int batch;
    final int head;
    final int queries;
    final int keys;
    final int width;
    final int valueWidth;

    /// Columns and rows of a tile: queries in a panel of scores, keys in a panel of `k`.
    final int lanes;

    final int height;
    final float[] tile;

    Head(AttentionArgs args, MatmulKernels matmul, AttentionKernels loops, int index) {
      this.args = args;
      this.matmul = matmul;
      this.loops = loops;
      this.batch = index / args.sizes().heads();
      this.head = index % args.sizes().heads();
      this.queries = args.sizes().queries();
      this.keys = args.sizes().keys();
      this.width = args.sizes().width();
      this.valueWidth = args.sizes().valueWidth();
      this.lanes = matmul.tileColumns();
      this.height = matmul.tileRows();
      this.tile = scratch.get(Use.TILE, (long) lanes * lanes + height * lanes);
    }

    // ---- forward

    void forward(int first, int last) {
      int needed = Math.clamp((long) args.visible(last - 1), 0, keys);
      float[] keyPanels = scratch.get(Use.KEYS, leftSize(needed, width));
      float[] valuePanels = scratch.get(Use.VALUES, leftSize(valueWidth, needed));
      packLeft(keyPanels, args.k().byRows(), start(args.k(), 0), needed, width);
      packLeft(valuePanels, args.v().byWidth(), start(args.v(), 0), valueWidth, needed);
      float[] queryPanel = scratch.get(Use.QUERIES, (long) width * lanes);
      float[] scores = scratch.get(Use.SCORES, (long) (needed + height) * lanes);
      float[] outputs = scratch.get(Use.OUTPUTS, (long) (valueWidth + height) * lanes);
      float[] inverse = scratch.get(Use.DELTA, lanes);
      float[] logSumExp = scratch.get(Use.LOG_SUM_EXP, lanes);
      for (int q = first; q < last; q += lanes) {
        int valid = Math.min(lanes, last - q);
        int rows = Math.clamp((long) args.visible(q + valid - 1), 0, needed);
        matmul.pack(queryPanel, 0, lanes, valid, width, args.q().byRows(), start(args.q(), q));
        product(keyPanels, needed, rows, queryPanel, 0, width, width, scores, 0);
        float scale = args.scale();
        if (args.filter().masks()) {
          float[] seen = mask(q, valid, 0, rows);
          loops.select(scores, 0, seen, rows, scale, Float.NEGATIVE_INFINITY);
          scale = 1;
        }
        loops.softmax(scores, rows, args.visible(q), scale, inverse, logSumExp);
        if (args.filter().drops()) {
          loops.multiply(scores, 0, dropout(q, valid, 0, rows), rows);
        }
        product(valuePanels, valueWidth, valueWidth, scores, 0, needed, rows, outputs, 0);
        loops.scaleLanes(outputs, 0, valueWidth, inverse);
        writeTransposed(outputs, 0, valueWidth, valid, args.y(), q);
        long at =
            args.logSumExpStart()
                + 4 * (((long) batch * args.sizes().heads() + head) * queries + q);
        MemorySegment.copy(logSumExp, 0, args.logSumExp(), FLOAT, at, valid);
      }
    }

    // ---- gradient

    void backward(AttentionArgs.Gradients out) {
      int panels = Math.ceilDiv(queries, lanes);
      HeadsView q = args.q();
      HeadsView dy = out.dy();
      float[] queryPanels = scratch.get(Use.QUERIES, (long) panels * width * lanes);
      float[] dyPanels = scratch.get(Use.OUTPUT_GRADIENTS, (long) panels * valueWidth * lanes);
      float[] logSumExp = scratch.get(Use.LOG_SUM_EXP, (long) panels * lanes);
      float[] delta = scratch.get(Use.DELTA, (long) panels * lanes);
      float[] dq = scratch.get(Use.DQ, (long) panels * width * lanes);
      Arrays.fill(dq, 0, panels * width * lanes, 0f);
      for (int p = 0; p < panels; p++) {
        int valid = Math.min(lanes, queries - p * lanes);
        matmul.pack(
            queryPanels, p * width * lanes, lanes, valid, width, q.byRows(), start(q, p * lanes));
        matmul.pack(
            dyPanels,
            p * valueWidth * lanes,
            lanes,
            valid,
            valueWidth,
            dy.byRows(),
            start(dy, p * lanes));
        rowNumbers(p, valid, dyPanels, logSumExp, delta);
      }
      for (int k = 0; k < keys; k += KEY_BLOCK) {
        keyBlock(out, k, Math.min(KEY_BLOCK, keys - k));
      }
      for (int p = 0; p < panels; p++) {
        int valid = Math.min(lanes, queries - p * lanes);
        writeTransposed(dq, p * width * lanes, width, valid, out.dq(), p * lanes);
      }
    }

    /// `logSumExp` and `delta = Σ y·dy` of the queries of panel `p`. Lanes without a query, and
    /// queries that see no key, get `logSumExp` +∞, which makes their weights 0.
    private void rowNumbers(int p, int valid, float[] dyPanels, float[] logSumExp, float[] delta) {
      float[] yPanel = scratch.get(Use.OUTPUTS, (long) valueWidth * lanes);
      HeadsView y = args.y();
      matmul.pack(yPanel, 0, lanes, valid, valueWidth, y.byRows(), start(y, p * lanes));
      loops.dotLanes(dyPanels, p * valueWidth * lanes, yPanel, valueWidth, delta, p * lanes);
      long at =
          args.logSumExpStart()
              + 4 * (((long) batch * args.sizes().heads() + head) * queries + p * lanes);
      MemorySegment.copy(args.logSumExp(), FLOAT, at, logSumExp, p * lanes, valid);
      Arrays.fill(logSumExp, p * lanes + valid, (p + 1) * lanes, Float.POSITIVE_INFINITY);
      for (int i = p * lanes; i < p * lanes + valid; i++) {
        if (logSumExp[i] == Float.NEGATIVE_INFINITY) {
          logSumExp[i] = Float.POSITIVE_INFINITY;
        }
      }
    }

    /// Writes `dk` and `dv` of keys `[k, k + count)` and adds these keys' part to `dq`.
    private void keyBlock(AttentionArgs.Gradients out, int k, int count) {
      HeadsView keyView = args.k();
      HeadsView valueView = args.v();
      float[] keyPanels = scratch.get(Use.KEYS, leftSize(count, width));
      float[] keysByWidth = scratch.get(Use.KEYS_BY_WIDTH, leftSize(width, count));
      float[] valuePanels = scratch.get(Use.VALUES, leftSize(count, valueWidth));
      packLeft(keyPanels, keyView.byRows(), start(keyView, k), count, width);
      packLeft(keysByWidth, keyView.byWidth(), start(keyView, k), width, count);
      packLeft(valuePanels, valueView.byRows(), start(valueView, k), count, valueWidth);
      int padded = Math.ceilDiv(count, height) * height;
      long dkSize = (long) Math.ceilDiv(width, lanes) * padded * lanes;
      long dvSize = (long) Math.ceilDiv(valueWidth, lanes) * padded * lanes;
      float[] dk = scratch.get(Use.DK, dkSize);
      float[] dv = scratch.get(Use.DV, dvSize);
      Arrays.fill(dk, 0, (int) dkSize, 0f);
      Arrays.fill(dv, 0, (int) dvSize, 0f);
      // From the first query that sees key k on, rounded down to a block.
      int seeing = args.causal() ? Math.max(0, k + queries - keys) : 0;
      for (int q = seeing / QUERY_BLOCK * QUERY_BLOCK; q < queries; q += QUERY_BLOCK) {
        block(out.dy(), k, count, q, Math.min(QUERY_BLOCK, queries - q));
      }
      write(dk, count, padded, width, out.dk(), k);
      write(dv, count, padded, valueWidth, out.dv(), k);
    }

    /// The part of queries `[q, q + number)` in the gradients of a block of keys, and of these keys
    /// in theirs.
    private void block(HeadsView dy, int k, int count, int q, int number) {
      int padded = Math.ceilDiv(count, height) * height;
      int panels = Math.ceilDiv(number, lanes);
      int panelSize = (padded + height) * lanes;
      float[] scores = scratch.get(Use.SCORES, (long) panels * panelSize);
      float[] dp = scratch.get(Use.WEIGHT_GRADIENTS, (long) panels * panelSize);
      float[] keyPanels = scratch.get(Use.KEYS, 0);
      float[] valuePanels = scratch.get(Use.VALUES, 0);
      float[] keysByWidth = scratch.get(Use.KEYS_BY_WIDTH, 0);
      float[] queryPanels = scratch.get(Use.QUERIES, 0);
      float[] dyPanels = scratch.get(Use.OUTPUT_GRADIENTS, 0);
      float[] dq = scratch.get(Use.DQ, 0);
      for (int p = 0; p < panels; p++) {
        int panel = q / lanes + p;
        int rows = seen(panel, k, count);
        product(
            keyPanels,
            count,
            rows,
            queryPanels,
            panel * width * lanes,
            width,
            width,
            scores,
            p * panelSize);
        product(
            valuePanels,
            count,
            rows,
            dyPanels,
            panel * valueWidth * lanes,
            valueWidth,
            valueWidth,
            dp,
            p * panelSize);
        weights(scores, dp, p * panelSize, panel, k, rows);
        for (int i = 0, height; i < width; i += height) {
          height = matmul.panelRows(width - i);
          matmul.multiply(keysByWidth, i * count, height, dp, p * panelSize, lanes, rows, tile, 0);
          loops.add(dq, (panel * width + i) * lanes, tile, Math.min(height, width - i) * lanes);
        }
      }
      keyGradient(scores, k, count, dy, q, number, valueWidth, Use.DV);
      keyGradient(dp, k, count, args.q(), q, number, width, Use.DK);
    }

    /// From the scores of a panel of queries and of keys `[k, k + rows)`, and the gradients of the
    /// weights that `v` met: these weights and the gradients of the scores.
    private void weights(float[] scores, float[] dp, int at, int panel, int k, int rows) {
      int valid = Math.min(lanes, queries - panel * lanes);
      AttentionFilter filter = args.filter();
      float[] factors = filter.drops() ? dropout(panel * lanes, valid, k, rows) : null;
      if (factors != null) {
        loops.multiply(dp, at, factors, rows);
      }
      loops.softmaxGradient(
          scores,
          dp,
          at,
          rows,
          args.visible(panel * lanes) - k,
          args.scale(),
          scratch.get(Use.LOG_SUM_EXP, 0),
          scratch.get(Use.DELTA, 0),
          panel * lanes);
      if (factors != null) {
        loops.multiply(scores, at, factors, rows);
      }
      if (filter.masks()) {
        float[] seen = mask(panel * lanes, valid, k, rows);
        loops.select(scores, at, seen, rows, 1, 0);
        loops.select(dp, at, seen, rows, 1, 0);
      }
    }

    private float[] mask(int query, int valid, int key, int rows) {
      float[] panel = scratch.get(Use.FILTER, (long) rows * lanes);
      args.filter().mask(place(query, valid, key, rows), panel);
      return panel;
    }

    private float[] dropout(int query, int valid, int key, int rows) {
      float[] panel = scratch.get(Use.FILTER, (long) rows * lanes);
      args.filter().dropout(place(query, valid, key, rows), panel);
      return panel;
    }

    private AttentionFilter.Place place(int query, int valid, int key, int rows) {
      int heads = args.sizes().heads();
      return new AttentionFilter.Place(
          matmul, (long) batch * heads + head, heads, queries, keys, query, valid, key, rows);
    }

    /// How many of the keys `[k, k + count)` a panel of queries sees, rounded up to whole panels of
    /// keys.
    private int seen(int panel, int k, int count) {
      int last = Math.min(queries, (panel + 1) * lanes) - 1;
      int visible = Math.clamp((long) args.visible(last) - k, 0, count);
      return Math.min(count, Math.ceilDiv(visible, height) * height);
    }

    /// `x += wᵀ·z`: `w` panels of weights (or of their gradients) of queries `[q, q + number)`, `z`
    /// these queries' rows of `view`, `x` the accumulator of `use`.
    private void keyGradient(
        float[] w, int k, int count, HeadsView view, int q, int number, int columns, Use use) {
      int padded = Math.ceilDiv(count, height) * height;
      int panelSize = (padded + height) * lanes;
      float[] left = scratch.get(Use.TRANSPOSED, leftSize(height, number));
      float[] right = scratch.get(Use.QUERIES_BY_WIDTH, padded(columns) * number + lanes);
      for (int c = 0; c < columns; c += lanes) {
        matmul.pack(
            right,
            c * number,
            lanes,
            Math.min(lanes, columns - c),
            number,
            view.byWidth(),
            start(view, q) + (long) c * view.elementBytes());
      }
      float[] x = scratch.get(use, 0);
      for (int i = 0, rows; i < count; i += rows) {
        rows = matmul.panelRows(count - i);
        // Queries before `skip` see none of these keys.
        int skip = 0;
        while (skip < number && seen((q + skip) / lanes, k, count) <= i) {
          skip += lanes;
        }
        for (int j = skip; j < number; j += lanes) {
          matmul.transpose(
              w,
              j / lanes * panelSize + i * lanes,
              lanes,
              rows,
              Math.min(lanes, number - j),
              left,
              (j - skip) * rows,
              rows);
        }
        for (int c = 0; c < columns && skip < number; c += lanes) {
          matmul.multiply(
              left, 0, rows, right, c * number + skip * lanes, lanes, number - skip, tile, 0);
          loops.add(x, (c / lanes * padded + i) * lanes, tile, Math.min(rows, count - i) * lanes);
        }
      }
    }

    // ---- panels

    private long start(HeadsView view, int row) {
      return view.byteOffset(batch, head, row);
    }

    private long leftSize(int rows, int depth) {
      return (long) (Math.ceilDiv(rows, height) * height) * depth + lanes;
    }

    /// `columns` rounded up to whole panels.
    private long padded(int columns) {
      return (long) Math.ceilDiv(columns, lanes) * lanes;
    }

    /// Packs `rows × depth` numbers as a left operand.
    private void packLeft(
        float[] panels, MatmulKernels.Source source, long start, int rows, int depth) {
      for (int i = 0, panel; i < rows; i += panel) {
        panel = matmul.panelRows(rows - i);
        matmul.pack(
            panels,
            i * depth,
            panel,
            Math.min(panel, rows - i),
            depth,
            source,
            start + i * source.across());
      }
    }

    /// `x = left·right` for at least the first `rows` rows (up to the end of a panel), where the
    /// left panels were packed for `packedRows` rows and `packedDepth ≥ depth`.
    private void product(
        float[] left,
        int packedRows,
        int rows,
        float[] right,
        int at,
        int packedDepth,
        int depth,
        float[] x,
        int to) {
      for (int i = 0, panel; i < rows; i += panel) {
        panel = matmul.panelRows(packedRows - i);
        matmul.multiply(left, i * packedDepth, panel, right, at, lanes, depth, x, to + i * lanes);
      }
    }

    /// Writes the first `valid` columns of a panel of `columns` rows as rows of `view`.
    private void writeTransposed(
        float[] x, int from, int columns, int valid, HeadsView view, int row) {
      for (int c = 0; c < columns; c += lanes) {
        int part = Math.min(lanes, columns - c);
        matmul.transpose(x, from + c * lanes, lanes, part, valid, tile, 0, lanes);
        writeTile(valid, part, view, row, c);
      }
    }

    /// Writes an accumulator, whose rows are rows of `view`.
    private void write(float[] x, int rows, int padded, int columns, HeadsView view, int row) {
      for (int c = 0; c < columns; c += lanes) {
        for (int i = 0; i < rows; i += lanes) {
          int part = Math.min(lanes, rows - i);
          System.arraycopy(x, (c / lanes * padded + i) * lanes, tile, 0, part * lanes);
          writeTile(part, Math.min(lanes, columns - c), view, row + i, c);
        }
      }
    }

    private void writeTile(int rows, int columns, HeadsView view, int row, int column) {
      long at = start(view, row) + (long) column * view.elementBytes();
      if (view.bfloat16()) {
        matmul.storeBfloat16(tile, lanes, rows, columns, view.data(), at, view.rowBytes());
      } else {
        matmul.store(tile, lanes, rows, columns, view.data(), at, view.rowBytes());
      }
    }
  }
}
