package fornax.models.gpt;

import fornax.array.ShapeException;
import fornax.backend.Backend;
import fornax.backend.Unary;
import fornax.nn.AttentionCache;
import fornax.nn.CausalSelfAttention;
import fornax.nn.Dropout;
import fornax.nn.Embedding;
import fornax.nn.FeedForward;
import fornax.nn.Initializer;
import fornax.nn.LayerNorm;
import fornax.nn.Linear;
import fornax.nn.Module;
import fornax.nn.Weights;
import fornax.tensor.Generator;
import fornax.tensor.GradMode;
import fornax.tensor.LossOptions;
import fornax.tensor.Recompute;
import fornax.tensor.Residual;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/// GPT-2: a transformer that predicts the next token.
///
/// Embeddings of tokens and positions, then blocks of attention and feed-forward layers on a
/// residual stream, each behind its layer norm; the token table is also the output head. Letters: B
/// sequences of T tokens, width C, vocabulary V. Source: Radford et al., "Language Models are
/// Unsupervised Multitask Learners", 2019; initial values as in nanoGPT.
///
/// ```java
/// try (var gpt = new Gpt(GptConfig.preset("nano").withVocabulary(77), Weights.seeded(1337))) {
///   try (var scope = Scope.open()) {
///     gpt.loss(tokens, targets).backward();
///   }
/// }
/// ```
public final class Gpt extends Module {
  private static final double INITIAL_DEVIATION = 0.02; // GPT-2's

  private final GptConfig config;
  private final Backend backend;
  private final Generator generator;
  private final Embedding tokenTable;
  private final Embedding positionTable;
  private final Dropout dropout;
  private final Blocks blocks;
  private final LayerNorm norm;

  /// A model with random parameters: normal with standard deviation 0.02, the layers that write to
  /// the residual stream 0.02/√(2·layers), biases 0. Dropout draws from the same seed.
  public Gpt(GptConfig config, Weights weights) {
    this.config = config;
    backend = weights.backend();
    generator = new Generator(weights.backend(), weights.seed());
    Initializer normal = Initializer.normal(INITIAL_DEVIATION);
    tokenTable =
        child("tokens", new Embedding(weights, config.vocabulary(), config.width(), normal));
    positionTable =
        child("positions", new Embedding(weights, config.context(), config.width(), normal));
    dropout = child("dropout", new Dropout(config.dropout(), generator));
    List<Block> list = new ArrayList<>();
    for (int i = 0; i < config.layers(); i++) {
      list.add(new Block(config, weights, generator));
    }
    blocks = child("blocks", new Blocks(list, generator));
    norm = child("norm", new LayerNorm(weights, config.width()));
  }

  /// The blocks; their names are `0`, `1`, ...
  private static final class Blocks extends Module {
    private final List<Block> list;
    private final Generator generator;
    private boolean recompute;

    Blocks(List<Block> list, Generator generator) {
      this.list = List.copyOf(list);
      this.generator = generator;
      for (int i = 0; i < list.size(); i++) {
        var _ = child(Integer.toString(i), list.get(i));
      }
    }

    /// The residual stream `x` behind the last block, normalised by `last`. Shapes: `[B, T, C] →
    /// [B, T, C]`.
    ///
    /// @param cache of the positions before `x`; null: there are none
    Tensor forward(Tensor x, LayerNorm last, @Nullable GptCache cache) {
      try (var scope = Scope.open()) {
        Residual stream = new Residual(x, list.getFirst().attentionNorm.forward(x));
        for (int i = 0; i < list.size(); i++) {
          LayerNorm next = i + 1 < list.size() ? list.get(i + 1).attentionNorm : last;
          Residual before = stream;
          stream =
              recompute && cache == null
                  ? recomputed(list.get(i), before, next)
                  : list.get(i).forward(before, next, cache == null ? null : cache.block(i));
          before.normal().close();
          if (i > 0) {
            before.sum().close();
          }
        }
        return scope.keep(stream.normal()); // [B, T, C]
      }
    }

    private Residual recomputed(Block block, Residual stream, LayerNorm next) {
      List<Tensor> both =
          Recompute.apply(
              x -> {
                Residual y = block.forward(new Residual(x.getFirst(), x.getLast()), next, null);
                return List.of(y.sum(), y.normal());
              },
              List.of(stream.sum(), stream.normal()),
              generator);
      return new Residual(both.getFirst(), both.getLast());
    }
  }

  /// `x + attention(norm(x))`, then the same with the feed-forward layers. Shapes: `[B, T, C] → [B,
  /// T, C]`. Each sum is normalised for the layers behind it as it is made.
  private static final class Block extends Module {
    private final LayerNorm attentionNorm;
    private final CausalSelfAttention attention;
    private final LayerNorm feedForwardNorm;
    private final FeedForward feedForward;

    Block(GptConfig config, Weights weights, Generator generator) {
      long c = config.width();
      Linear.Options inner =
          Linear.Options.DEFAULT
              .withWeight(Initializer.normal(INITIAL_DEVIATION))
              .withBias(Initializer.zeros());
      Linear.Options residual =
          inner.withWeight(
              Initializer.normal(INITIAL_DEVIATION / Math.sqrt(2.0 * config.layers())));
      attentionNorm = child("attentionNorm", new LayerNorm(weights, c));
      attention =
          child(
              "attention",
              new CausalSelfAttention(
                  new Linear(weights, c, 3 * c, inner),
                  new Linear(weights, c, c, residual),
                  config.heads(),
                  new Dropout(config.dropout(), generator)));
      feedForwardNorm = child("feedForwardNorm", new LayerNorm(weights, c));
      feedForward =
          child(
              "feedForward",
              new FeedForward(
                  new Linear(weights, c, 4 * c, inner.withActivation(Unary.GELU_TANH)),
                  new Linear(weights, 4 * c, c, residual),
                  new Dropout(config.dropout(), generator)));
    }

    /// @param next the norm of the layers behind this block
    Residual forward(Residual stream, LayerNorm next, @Nullable AttentionCache cache) {
      try (var scope = Scope.open()) {
        Tensor x = stream.normal();
        Residual attended =
            feedForwardNorm.forward(
                stream.sum(),
                cache == null ? attention.forward(x) : attention.forward(x, cache)); // [B, T, C]
        return scope.keep(
            next.forward(attended.sum(), feedForward.forward(attended.normal()))); // [B, T, C] each
      }
    }
  }

  public GptConfig config() {
    return config;
  }

  /// The device that the parameters are on.
  public Backend backend() {
    return backend;
  }

  /// The random state of dropout: set its step before each training step.
  public Generator generator() {
    return generator;
  }

  /// Whether training keeps only what goes into each block, and computes the block again in
  /// backward ([Recompute]): the same bits in less memory, for a third more work.
  public void recompute(boolean wanted) {
    blocks.recompute = wanted;
  }

  /// The logits of the token after each position. Shapes: `tokens (I32) [B, T] → [B, T, V]`.
  ///
  /// @throws ShapeException if tokens are not of rank 2, or longer than the context
  public Tensor logits(Tensor tokens) {
    try (var scope = Scope.open()) {
      return scope.keep(head(hidden(tokens))); // [B, T, V]
    }
  }

  /// The logits of the token after the last position alone. Shapes: `tokens (I32) [B, T] → [B, V]`.
  ///
  /// @throws ShapeException if tokens are not of rank 2, empty, or longer than the context
  public Tensor nextLogits(Tensor tokens) {
    try (var scope = Scope.open()) {
      return scope.keep(head(hidden(tokens).select(1, tokens.dim(1) - 1))); // [B, C] to [B, V]
    }
  }

  /// The logits of the token after the last position alone, where `tokens` follow those that
  /// `cache` has seen, which they join. In evaluation mode, without gradients. Shapes: `tokens
  /// (I32) [B, T] → [B, V]`.
  ///
  /// @throws ShapeException if tokens are not of rank 2, empty, or longer than what the context has
  ///   left
  public Tensor nextLogits(Tensor tokens, GptCache cache) {
    if (isTraining()) {
      throw new IllegalStateException("gpt: in training mode; need eval() for a cache");
    }
    try (var _ = GradMode.noGrad();
        var scope = Scope.open()) {
      Tensor last = hidden(tokens, cache).select(1, tokens.dim(1) - 1); // [B, C]
      return scope.keep(head(last)); // [B, V]
    }
  }

  /// The mean cross-entropy of `targets`, the tokens after each of `tokens`, in nats; targets of
  /// [LossOptions#DEFAULT]'s ignored index don't count. Shapes: `tokens, targets (I32) [B, T] →
  /// []`.
  ///
  /// @throws ShapeException if tokens are not of rank 2, longer than the context, or of another
  ///   shape than targets
  public Tensor loss(Tensor tokens, Tensor targets) {
    return loss(tokens, targets, LossOptions.DEFAULT);
  }

  /// The same with other options, such as label smoothing.
  ///
  /// @throws ShapeException if tokens are not of rank 2, longer than the context, or of another
  ///   shape than targets
  public Tensor loss(Tensor tokens, Tensor targets, LossOptions options) {
    if (!tokens.shape().equals(targets.shape())) {
      throw new ShapeException(
          "gpt: targets of another shape; got tokens "
              + tokens.shape()
              + " and targets "
              + targets.shape()
              + "; need one shape [B, T]");
    }
    try (var scope = Scope.open()) {
      Tensor rows = hidden(tokens).reshape(-1, config.width()); // [B·T, C]
      Tensor vocabulary = tokenTable.weight().working().transpose(); // [C, V]
      return scope.keep(rows.linearCrossEntropy(vocabulary, targets.reshape(-1), options));
    }
  }

  // The residual stream behind the last block, normalised: [B, T] to [B, T, C].
  private Tensor hidden(Tensor tokens) {
    return hidden(tokens, null);
  }

  private Tensor hidden(Tensor tokens, @Nullable GptCache cache) {
    if (tokens.rank() != 2) {
      throw new ShapeException(
          "gpt: tokens of wrong rank; got " + tokens.shape() + "; need [B, T]");
    }
    long start = cache == null ? 0 : cache.length(); // of the longest sequence
    long end = start + tokens.dim(1);
    if (end > config.context()) {
      throw new ShapeException(
          "gpt: sequence longer than the context; got "
              + end
              + " in tokens "
              + tokens.shape()
              + (start == 0 ? "" : " after " + start)
              + "; need at most "
              + config.context());
    }
    try (var scope = Scope.open()) {
      Tensor positions =
          cache != null && cache.isJoined()
              ? positionTable.forward(cache.nextPositions(tokens)) // [B, T, C]
              : positionTable.weight().working().slice(0, start, end); // [T, C]
      Tensor x = dropout.forward(tokenTable.forward(tokens).add(positions)); // [B, T, C]
      return scope.keep(blocks.forward(x, norm, cache)); // [B, T, C]
    }
  }

  private Tensor head(Tensor x) {
    return x.linear(tokenTable.weight().working().transpose(), null, null); // [.., C] to [.., V]
  }

  /// Files hold GPT-2's names as Hugging Face publishes them, such as `h.0.attn.c_attn.weight`.
  @Override
  protected String storedName(String path) {
    return HuggingFaceNames.of(path);
  }

  /// The parameters of the adapters that [fornax.nn.Lora] has given the layers, by the names that
  /// they have in files; empty where it has not.
  public SequencedMap<String, Tensor> adapters() {
    SequencedMap<String, Tensor> all = new LinkedHashMap<>();
    storedParameters()
        .forEach(
            (name, tensor) -> {
              if (name.contains(".lora_")) {
                all.put(name, tensor);
              }
            });
    return all;
  }

  /// The name in files of the part `a` or `b` of the adapter of the parameter that is stored as
  /// `weight`.
  public static String adapterName(String weight, String part) {
    return HuggingFaceNames.ofAdapter(weight, part);
  }

  @Override
  public void close() {
    super.close();
    generator.close();
  }
}
