package fornax.models.learn;

import fornax.nn.Embedding;
import fornax.nn.Initializer;
import fornax.nn.LayerNorm;
import fornax.nn.Linear;
import fornax.nn.Module;
import fornax.nn.Weights;
import fornax.tensor.AttentionSpec;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// A decoder on characters, of which each part can be left out. Letters: B sequences of T
/// characters, width C, vocabulary V. Shapes: `tokens (I32) [B, T] → logits [B, T, V]`.
final class Decoder extends Module {
  private static final int HEADS = 4;
  private static final int DEPTH = 4;
  private static final double DEVIATION = 0.02; // of initial weights, GPT-2's
  private static final double LONGEST_WAVE = 10_000; // arXiv:1706.03762 §3.5

  /// What a decoder may have beside one head of attention.
  enum Part {
    FOUR_HEADS,
    FEED_FORWARD,
    RESIDUALS,
    LAYER_NORM,
    GELU, // in place of ReLU
    SINUSOIDS, // positions as waves
    LEARNED_POSITIONS,
    FOUR_BLOCKS
  }

  private final Embedding table;
  private final @Nullable Tensor positions; // [T, C]
  private final List<Block> blocks = new ArrayList<>();
  private final @Nullable LayerNorm lastNorm;

  Decoder(Set<Part> parts, int vocabulary, int context, int width, Weights weights) {
    Initializer normal = Initializer.normal(DEVIATION);
    table = child("characters", new Embedding(weights, vocabulary, width, normal));
    if (parts.contains(Part.LEARNED_POSITIONS)) {
      positions = parameter("positions", weights.create(normal, context, width));
    } else {
      positions =
          parts.contains(Part.SINUSOIDS) ? Tensor.of(waves(context, width), context, width) : null;
    }
    int depth = parts.contains(Part.FOUR_BLOCKS) ? DEPTH : 1;
    for (int i = 0; i < depth; i++) {
      blocks.add(child("block" + i, new Block(parts, width, depth, weights)));
    }
    lastNorm =
        parts.contains(Part.LAYER_NORM) ? child("norm", new LayerNorm(weights, width)) : null;
  }

  /// Sine and cosine of the place, at wave lengths from 2π to 2π·10,000 places, as strong as
  /// embeddings are at first.
  static float[] waves(int context, int width) {
    float[] values = new float[context * width];
    for (int t = 0; t < context; t++) {
      for (int i = 0; i < width; i++) {
        double angle = t / Math.pow(LONGEST_WAVE, (i - i % 2) / (double) width);
        double wave = i % 2 == 0 ? Math.sin(angle) : Math.cos(angle);
        values[t * width + i] = (float) (DEVIATION * Math.sqrt(2) * wave);
      }
    }
    return values;
  }

  /// Attention, then two linear layers.
  private static final class Block extends Module {
    private final Linear qkv;
    private final Linear mix;
    private final int heads;
    private final @Nullable Linear expand;
    private final @Nullable Linear contract;
    private final @Nullable LayerNorm attentionNorm;
    private final @Nullable LayerNorm feedForwardNorm;
    private final boolean residuals;
    private final boolean gelu;

    Block(Set<Part> parts, int width, int depth, Weights weights) {
      Linear.Options inner =
          Linear.Options.DEFAULT
              .withWeight(Initializer.normal(DEVIATION))
              .withBias(Initializer.zeros());
      Linear.Options outer =
          inner.withWeight(Initializer.normal(DEVIATION / Math.sqrt(2.0 * depth)));
      boolean two = parts.contains(Part.FEED_FORWARD);
      boolean norms = parts.contains(Part.LAYER_NORM);
      heads = parts.contains(Part.FOUR_HEADS) ? HEADS : 1;
      residuals = parts.contains(Part.RESIDUALS);
      gelu = parts.contains(Part.GELU);
      attentionNorm = norms ? child("attentionNorm", new LayerNorm(weights, width)) : null;
      qkv = child("qkv", new Linear(weights, width, 3L * width, inner));
      mix = child("mix", new Linear(weights, width, width, outer));
      feedForwardNorm = norms ? child("feedForwardNorm", new LayerNorm(weights, width)) : null;
      expand = two ? child("expand", new Linear(weights, width, 4L * width, inner)) : null;
      contract = two ? child("contract", new Linear(weights, 4L * width, width, outer)) : null;
    }

    /// `[B, T, C] → [B, T, C]`
    Tensor forward(Tensor x) {
      try (var scope = Scope.open()) {
        Tensor normed = attentionNorm == null ? x : attentionNorm.forward(x);
        Tensor seen = Tensor.selfAttention(qkv.forward(normed), heads, AttentionSpec.CAUSAL);
        Tensor y = add(x, mix.forward(seen));
        if (expand == null || contract == null) {
          return scope.keep(y);
        }
        Tensor wide = expand.forward(feedForwardNorm == null ? y : feedForwardNorm.forward(y));
        return scope.keep(add(y, contract.forward(gelu ? wide.geluTanh() : wide.relu())));
      }
    }

    private Tensor add(Tensor stream, Tensor branch) {
      return residuals ? stream.add(branch) : branch;
    }
  }

  /// The mean cross entropy of `targets (I32) [B, T]`, those below 0 left out. The table of
  /// characters is also the output head.
  Tensor loss(Tensor tokens, Tensor targets) {
    try (var scope = Scope.open()) {
      Tensor x = table.forward(tokens); // [B, T, C]
      if (positions != null) {
        x = x.add(positions.slice(0, 0, tokens.dim(1)));
      }
      for (Block block : blocks) {
        x = block.forward(x);
      }
      if (lastNorm != null) {
        x = lastNorm.forward(x);
      }
      Tensor logits = x.linear(table.weight().transpose(), null); // [B, T, V]
      return scope.keep(logits.crossEntropy(targets));
    }
  }
}
