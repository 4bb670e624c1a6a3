package fornax.benchmarks;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/// The same training step as [TrainingStep] in PyTorch: GPT-2 with its fused attention and AdamW,
/// no dropout, no clipping. Letters: B sequences of T tokens, width C, H heads of D.
///
/// Usage: `TorchTraining SHAPE THREADS f32|bf16`; prints the same line as `fornax bench --train`.
/// BF16 is autocast, PyTorch's way to train in it: parameters F32, products of rounded operands.
final class TorchTraining {
  private static final double RATE = 3e-4;
  private static final double WEIGHT_DECAY = 0.1;
  private static final double DEVIATION = 0.02;
  private static final double EPSILON = 1e-5;
  private static final long TIMED_NANOS = 8_000_000_000L;

  private final TrainingShape shape;
  private final boolean bfloat16;
  private final Torch fused = new Torch();
  private final List<Tensor> parameters = new ArrayList<>();
  private final List<Tensor> firstMoments = new ArrayList<>();
  private final List<Tensor> secondMoments = new ArrayList<>();
  private final List<Tensor> steps = new ArrayList<>();
  private final Tensor tokenTable;
  private final Tensor positionTable;
  private final List<Block> blocks = new ArrayList<>();
  private final Norm norm;

  private record Norm(Tensor weight, Tensor bias) {
    Tensor of(Tensor x) {
      return torch.layer_norm(
          x,
          new long[] {x.size(-1)},
          new TensorOptional(weight),
          new TensorOptional(bias),
          EPSILON,
          true);
    }
  }

  private record Linear(Tensor weight, Tensor bias) {
    Tensor of(Tensor x) {
      return torch.linear(x, weight, new TensorOptional(bias));
    }
  }

  private record Block(
      Norm attentionNorm, Linear qkv, Linear out, Norm feedForwardNorm, Linear up, Linear down) {}

  private TorchTraining(TrainingShape shape, boolean bfloat16) {
    this.shape = shape;
    this.bfloat16 = bfloat16;
    long c = shape.model().width();
    double residual = DEVIATION / Math.sqrt(2.0 * shape.model().layers());
    tokenTable = normal(DEVIATION, shape.model().vocabulary(), c);
    positionTable = normal(DEVIATION, shape.model().context(), c);
    for (int i = 0; i < shape.model().layers(); i++) {
      blocks.add(
          new Block(
              norm(c),
              linear(DEVIATION, c, 3 * c),
              linear(residual, c, c),
              norm(c),
              linear(DEVIATION, c, 4 * c),
              linear(residual, 4 * c, c)));
    }
    norm = norm(c);
    for (Tensor parameter : parameters) {
      firstMoments.add(torch.zeros_like(parameter));
      secondMoments.add(torch.zeros_like(parameter));
      steps.add(torch.zeros(new long[0]));
    }
  }

  private Tensor parameter(Tensor initial) {
    Tensor parameter = initial.detach().requires_grad_(true);
    parameters.add(parameter);
    return parameter;
  }

  private Tensor normal(double deviation, long... dims) {
    return parameter(torch.randn(dims).mul(new Scalar(deviation)));
  }

  private Norm norm(long c) {
    return new Norm(parameter(torch.ones(c)), parameter(torch.zeros(c)));
  }

  private Linear linear(double deviation, long in, long out) {
    return new Linear(normal(deviation, out, in), parameter(torch.zeros(out)));
  }

  private Tensor loss(Tensor tokens, Tensor targets) {
    long b = shape.batch();
    long t = shape.model().context();
    long c = shape.model().width();
    Tensor x = torch.embedding(tokenTable, tokens).add(positionTable); // [B, T, C]
    for (Block block : blocks) {
      TensorVector qkv = block.qkv().of(block.attentionNorm().of(x)).split(c, 2);
      Tensor attended =
          torch.scaled_dot_product_attention(
              heads(qkv.get(0)),
              heads(qkv.get(1)),
              heads(qkv.get(2)),
              new TensorOptional(),
              0.0,
              true,
              new DoubleOptional(),
              false); // [B, H, T, D]
      x = x.add(block.out().of(attended.transpose(1, 2).contiguous().view(b, t, c)));
      Tensor hidden = torch.gelu(block.up().of(block.feedForwardNorm().of(x)), "tanh");
      x = x.add(block.down().of(hidden));
    }
    Tensor logits = torch.linear(norm.of(x), tokenTable); // [B, T, V]
    return torch.cross_entropy_loss(
        logits.view(b * t, shape.model().vocabulary()), targets.view(b * t));
  }

  private Tensor heads(Tensor x) {
    long heads = shape.model().heads();
    long size = shape.model().width() / heads;
    return x.view(x.size(0), x.size(1), heads, size).transpose(1, 2);
  }

  private Tensor randomTokens() {
    return torch.randint(
        shape.model().vocabulary(),
        new long[] {shape.batch(), shape.model().context()},
        torch.dtype(torch.ScalarType.Long));
  }

  private TrainingStep.Times step() {
    try (var _ = new PointerScope()) {
      Tensor tokens = randomTokens();
      Tensor targets = randomTokens();
      long start = System.nanoTime();
      Tensor loss = bfloat16 ? fused.autocast(() -> loss(tokens, targets)) : loss(tokens, targets);
      long forward = System.nanoTime();
      loss.backward();
      long backward = System.nanoTime();
      update();
      long update = System.nanoTime();
      if (!Float.isFinite(loss.item_float())) {
        throw new IllegalStateException("torch: the loss is not finite");
      }
      return new TrainingStep.Times(forward - start, backward - forward, update - backward);
    }
  }

  private void update() {
    try (var _ = new NoGradGuard()) {
      List<Tensor> gradients = new ArrayList<>();
      parameters.forEach(parameter -> gradients.add(parameter.grad()));
      for (Tensor step : steps) {
        Tensor _ = step.add_(new Scalar(1));
      }
      fused.adamW(
          new Torch.Slots(
              fused.arrayRef(parameters),
              fused.arrayRef(gradients),
              fused.arrayRef(firstMoments),
              fused.arrayRef(secondMoments),
              fused.arrayRef(steps)),
          RATE,
          WEIGHT_DECAY);
      parameters.forEach(parameter -> parameter.mutable_grad().reset());
    }
  }

  public static void main(String[] args) {
    TrainingShape shape = TrainingShape.parse(args[0]);
    torch.set_num_threads(Integer.parseInt(args[1]));
    var training = new TorchTraining(shape, args[2].equals("bf16"));
    long best = TrainingTimer.warmUp(training::step);
    long count = Math.clamp(TIMED_NANOS / best, 6, 200);
    List<TrainingStep.Times> times = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      times.add(training.step());
    }
    System.out.println(TrainingTimer.line(shape.tokens(), times, times));
    System.out.flush();
    Runtime.getRuntime().halt(0); // its threads do not end by themselves
  }
}
