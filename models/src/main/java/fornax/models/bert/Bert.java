package fornax.models.bert;

import fornax.array.DType;
import fornax.array.ShapeException;
import fornax.backend.Backend;
import fornax.nn.Dropout;
import fornax.nn.Embedding;
import fornax.nn.FeedForward;
import fornax.nn.Initializer;
import fornax.nn.LayerNorm;
import fornax.nn.Linear;
import fornax.nn.Module;
import fornax.nn.MultiHeadAttention;
import fornax.nn.Weights;
import fornax.tensor.Generator;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// BERT's encoder: a transformer in which each token sees all others.
///
/// The sum of a token's, its position's and its type's vector, normalised, then blocks of attention
/// and feed-forward layers, each followed by a layer norm of its sum with what went in. Letters: B
/// sequences of T tokens, width C. There is no dropout. Source: arXiv:1810.04805.
///
/// ```java
/// try (var weights = BertWeights.openFolder(path);
///     var bert = weights.model(backend);
///     var scope = Scope.open()) {
///   Tensor hidden = bert.forward(tokens, null);
/// }
/// ```
public final class Bert extends Module {
  private static final double INITIAL_DEVIATION = 0.02; // BERT's

  private static final double TINY = 1e-24; // keeps a vector of 0 from becoming NaN

  private final BertConfig config;
  private final Backend backend;
  private final Generator generator; // dropout's, which is 0
  private final Embedding tokens;
  private final Embedding positions;
  private final Embedding types;
  private final LayerNorm norm;
  private final Blocks blocks;

  /// A model with random parameters: tables normal with standard deviation 0.02, layers as [Linear]
  /// starts them.
  public Bert(BertConfig config, Weights weights) {
    this.config = config;
    backend = weights.backend();
    generator = new Generator(weights.backend(), weights.seed());
    Initializer normal = Initializer.normal(INITIAL_DEVIATION);
    tokens = child("tokens", new Embedding(weights, config.vocabulary(), config.width(), normal));
    positions =
        child("positions", new Embedding(weights, config.positions(), config.width(), normal));
    types = child("types", new Embedding(weights, config.types(), config.width(), normal));
    norm = child("norm", new LayerNorm(weights, config.width(), config.epsilon()));
    List<Block> list = new ArrayList<>();
    for (int i = 0; i < config.layers(); i++) {
      list.add(new Block(config, weights, generator));
    }
    blocks = child("blocks", new Blocks(list));
  }

  /// The blocks; their names are `0`, `1`, ...
  private static final class Blocks extends Module {
    private final List<Block> list;

    Blocks(List<Block> list) {
      this.list = List.copyOf(list);
      for (int i = 0; i < list.size(); i++) {
        var _ = child(Integer.toString(i), list.get(i));
      }
    }

    Tensor forward(Tensor x, @Nullable Tensor seen) {
      try (var scope = Scope.open()) {
        Tensor y = x;
        for (Block block : list) {
          Tensor before = y;
          y = block.forward(before, seen);
          if (before != x) {
            before.close();
          }
        }
        return scope.keep(y);
      }
    }
  }

  /// `x ← norm(x + attention(x))`, then the same with the feed-forward layers. Shapes: `[B, T, C] →
  /// [B, T, C]`.
  private static final class Block extends Module {
    private final MultiHeadAttention attention;
    private final LayerNorm attentionNorm;
    private final FeedForward feedForward;
    private final LayerNorm feedForwardNorm;

    Block(BertConfig config, Weights weights, Generator generator) {
      long c = config.width();
      var none = new Dropout(0, generator);
      attention = child("attention", new MultiHeadAttention(weights, c, config.heads(), none));
      attentionNorm = child("attentionNorm", new LayerNorm(weights, c, config.epsilon()));
      feedForward =
          child(
              "feedForward",
              new FeedForward(
                  new Linear(weights, c, config.inner(), config.activation()),
                  new Linear(weights, config.inner(), c),
                  none));
      feedForwardNorm = child("feedForwardNorm", new LayerNorm(weights, c, config.epsilon()));
    }

    Tensor forward(Tensor x, @Nullable Tensor seen) {
      try (var scope = Scope.open()) {
        Tensor attended = attention.forward(x, x, seen);
        Tensor middle = attentionNorm.forward(x, attended).normal();
        Tensor inner = feedForward.forward(middle);
        return scope.keep(feedForwardNorm.forward(middle, inner).normal());
      }
    }
  }

  public BertConfig config() {
    return config;
  }

  /// The device that the parameters are on.
  public Backend backend() {
    return backend;
  }

  /// [#forward(Tensor, Tensor, Tensor)] for tokens of the first type.
  public Tensor forward(Tensor tokens, @Nullable Tensor mask) {
    return forward(tokens, null, mask);
  }

  /// The last hidden state. Shapes: `tokens, types (I32), mask (BOOL) [B, T] → [B, T, C]`.
  ///
  /// @param types of the tokens; null: the first
  /// @param mask true where there is a token, false where a sequence has been padded: what stands
  ///   there is not seen, and the result there means nothing; null: true everywhere. Each sequence
  ///   needs a token
  /// @throws ShapeException if tokens are not of rank 2, longer than the positions, or of another
  ///   shape than types or mask
  public Tensor forward(Tensor tokens, @Nullable Tensor types, @Nullable Tensor mask) {
    if (tokens.rank() != 2 || tokens.dim(1) > config.positions()) {
      throw new ShapeException(
          "bert: tokens not usable; got "
              + tokens.shape()
              + "; need [B, T], T at most "
              + config.positions());
    }
    needShape("types", types, tokens);
    needShape("mask", mask, tokens);
    long b = tokens.dim(0);
    long t = tokens.dim(1);
    try (var scope = Scope.open()) {
      Tensor place = positions.weight().working().slice(0, 0, t); // [T, C]
      Tensor kind =
          types == null
              ? this.types.weight().working().slice(0, 0, 1) // [1, C]
              : this.types.forward(types); // [B, T, C]
      Tensor x = norm.forward(this.tokens.forward(tokens).add(place).add(kind)); // [B, T, C]
      Tensor seen = mask == null ? null : mask.reshape(b, 1, 1, t); // each query's keys
      return scope.keep(blocks.forward(x, seen)); // [B, T, C]
    }
  }

  private static void needShape(String name, @Nullable Tensor given, Tensor tokens) {
    if (given != null && !given.shape().equals(tokens.shape())) {
      throw new ShapeException(
          "bert: "
              + name
              + " of another shape; got tokens "
              + tokens.shape()
              + " and "
              + name
              + " "
              + given.shape()
              + "; need one shape [B, T]");
    }
  }

  /// One vector of length 1 for each sequence: the mean of its tokens' last hidden states,
  /// normalised. Shapes: `tokens (I32), mask (BOOL) [B, T] → [B, C]`. Source: arXiv:1908.10084 §3.
  ///
  /// @param mask true where there is a token; null: everywhere
  /// @throws ShapeException as [#forward(Tensor, Tensor)] does
  public Tensor embed(Tensor tokens, @Nullable Tensor mask) {
    try (var scope = Scope.open()) {
      Tensor hidden = forward(tokens, mask).to(DType.F32); // [B, T, C]
      Tensor mean;
      if (mask == null) {
        mean = hidden.mean(1);
      } else {
        Tensor counted = mask.to(DType.F32).unsqueeze(2); // [B, T, 1]
        mean = hidden.mul(counted).sum(1).div(counted.sum(1)); // [B, C]
      }
      Tensor length = mean.square().sum(1, true).add(TINY).sqrt(); // [B, 1]
      return scope.keep(mean.div(length));
    }
  }

  @Override
  public void close() {
    super.close();
    generator.close();
  }
}
