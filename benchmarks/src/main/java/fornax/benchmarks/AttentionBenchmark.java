package fornax.benchmarks;

import fornax.backend.AttentionOptions;
import fornax.backend.NdArray;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/// Causal attention and its gradients. Sizes are `BxHxTxD`: B sequences, H heads, T tokens, D
/// numbers a head. q, k and v lie side by side in one array, as a GPT's do.
@SuppressWarnings("NullAway.Init") // by prepare()
public class AttentionBenchmark extends OpBenchmark {
  @Param({"12x4x64x32", "16x6x256x64", "4x12x64x64", "1x12x1024x64"})
  public String size;

  private static final double DROPOUT = 0.2;

  private AttentionOptions options;
  private AttentionOptions dropout;
  private NdArray q;
  private NdArray k;
  private NdArray v;
  private NdArray y;
  private NdArray logSumExp;
  private NdArray dy;
  private NdArray dq;
  private NdArray dk;
  private NdArray dv;

  @Override
  void prepare() {
    long[] d = dims(size);
    options = AttentionOptions.of(true, 1 / Math.sqrt(d[3]));
    NdArray state = below(Integer.MAX_VALUE, 4);
    dropout = new AttentionOptions(true, options.scale(), DROPOUT, state, 0);
    NdArray qkv = normal(d[0], d[2], 3 * d[1], d[3]);
    q = heads(qkv, 0);
    k = heads(qkv, 1);
    v = heads(qkv, 2);
    y = empty(d[0], d[2], d[1], d[3]).swapAxes(1, 2);
    logSumExp = empty(d[0], d[1], d[2]);
    dy = normal(d[0], d[2], d[1], d[3]).swapAxes(1, 2);
    NdArray gradients = empty(d[0], d[2], 3 * d[1], d[3]);
    dq = heads(gradients, 0);
    dk = heads(gradients, 1);
    dv = heads(gradients, 2);
    backend().attention(q, k, v, null, options, y, logSumExp);
  }

  // The third `part` of [B, T, 3·H, D] as [B, H, T, D].
  private static NdArray heads(NdArray qkv, int part) {
    long heads = qkv.dim(2) / 3;
    return qkv.slice(2, part * heads, (part + 1) * heads).swapAxes(1, 2);
  }

  @Benchmark
  public void forward() {
    backend().attention(q, k, v, null, options, y, logSumExp);
    done();
  }

  @Benchmark
  public void backward() {
    backend().attentionGradient(q, k, v, null, options, y, logSumExp, dy, dq, dk, dv);
    done();
  }

  @Benchmark
  public void forwardDropout() {
    backend().attention(q, k, v, null, dropout, y, logSumExp);
    done();
  }

  @Benchmark
  public void backwardDropout() {
    backend().attentionGradient(q, k, v, null, dropout, y, logSumExp, dy, dq, dk, dv);
    done();
  }

  /// Two products forward, five backward, an exponential each, and a random word each where there
  /// is dropout; the causal half counts.
  @Override
  Work work(String method) {
    long[] d = dims(size);
    boolean forward = method.startsWith("forward");
    double scores = d[0] * d[1] * d[2] * (d[2] + 1) / 2.0;
    double product = 2 * scores * d[3];
    double others = Work.EXP * scores + (method.endsWith("Dropout") ? Work.WORD * scores : 0);
    return Work.products((forward ? 2 : 5) * product + others, bytes(forward ? 4 : 8, d));
  }
}
