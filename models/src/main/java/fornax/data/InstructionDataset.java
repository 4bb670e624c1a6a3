package fornax.data;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/// Pairs of a prompt and an answer, of which a model is to learn the answers: each pair's tokens
/// are those of the prompt, of the answer, and one that ends it, and only the last two count as
/// targets.
///
/// Pairs are packed into rows of the context's length, as many in each as fit, in their order; what
/// is left of a row is filled up. The last tenth of the pairs is held out for validation.
public final class InstructionDataset implements TrainingData {
  private static final JsonMapper JSON =
      JsonMapper.builder().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();
  private static final int IGNORED = EvaluationBatches.IGNORED;
  private static final String NEED =
      "; need {\"prompt\": \"...\", \"answer\": \"...\"} on each line";

  private final int context;
  private final Rows training;
  private final Rows validation;
  private final int cut;

  private InstructionDataset(int context, Rows training, Rows validation, int cut) {
    this.context = context;
    this.training = training;
    this.validation = validation;
    this.cut = cut;
  }

  /// The pairs in `text`, JSON lines that `name` is the name of: objects with the strings `prompt`
  /// and `answer`. Blank lines are left out. Of a prompt that does not fit into the context with
  /// its answer, the beginning is cut off.
  ///
  /// @param end the token that ends an answer
  /// @throws DataException if a line is no such object, a prompt or an answer is empty, an answer
  ///   alone does not fit, a character is not in the vocabulary, or there are fewer than two pairs;
  ///   the message gives the line's number
  public static InstructionDataset of(
      String name, String text, Tokenizer tokenizer, int end, int context) throws DataException {
    List<Pair> pairs = new ArrayList<>();
    int cut = 0;
    int number = 0;
    for (String line : text.lines().toList()) {
      number++;
      if (!line.isBlank()) {
        Pair pair = pair("data: " + name + " line " + number + ": ", line, tokenizer, end);
        if (pair.length() > context + 1) {
          pair = pair.cutTo(context + 1, "data: " + name + " line " + number + ": ");
          cut++;
        }
        pairs.add(pair);
      }
    }
    if (pairs.size() < 2) {
      throw new DataException(
          "data: "
              + name
              + " has "
              + pairs.size()
              + " pairs; need at least 2, of which the last tenth is held out");
    }
    int held = Math.max(1, pairs.size() / 10);
    int split = pairs.size() - held;
    return new InstructionDataset(
        context,
        Rows.pack(pairs.subList(0, split), context, end),
        Rows.pack(pairs.subList(split, pairs.size()), context, end),
        cut);
  }

  private static Pair pair(String where, String line, Tokenizer tokenizer, int end)
      throws DataException {
    JsonNode json;
    try {
      json = JSON.readTree(line);
    } catch (JacksonException e) {
      throw new DataException(
          where
              + "not valid: "
              + e.getOriginalMessage().lines().findFirst().orElse("no JSON")
              + NEED,
          e);
    }
    int[] prompt = tokens(where, json, "prompt", tokenizer);
    int[] answer = tokens(where, json, "answer", tokenizer);
    int[] all = Arrays.copyOf(prompt, prompt.length + answer.length + 1);
    System.arraycopy(answer, 0, all, prompt.length, answer.length);
    all[all.length - 1] = end;
    return new Pair(all, prompt.length);
  }

  private static int[] tokens(String where, JsonNode json, String key, Tokenizer tokenizer)
      throws DataException {
    JsonNode value = json.path(key);
    if (!value.isTextual() || value.asText().isEmpty()) {
      String got =
          value.isMissingNode()
              ? "no " + key
              : value.isTextual() ? "an empty " + key : key + " " + Texts.excerpt(value.toString());
      throw new DataException(where + "got " + got + NEED);
    }
    try {
      return tokenizer.encode(value.asText());
    } catch (UnknownCharacterException e) {
      throw new DataException(where + e.getMessage(), e);
    }
  }

  /// The tokens of a pair, of which the first `prompt` are the prompt's.
  private static final class Pair {
    private final int[] tokens;
    private final int prompt;

    Pair(int[] tokens, int prompt) {
      this.tokens = tokens;
      this.prompt = prompt;
    }

    int length() {
      return tokens.length;
    }

    Pair cutTo(int most, String where) throws DataException {
      int drop = tokens.length - most;
      if (drop >= prompt) {
        throw new DataException(
            where
                + "answer longer than the context; got "
                + (tokens.length - prompt - 1)
                + " tokens; need at most "
                + (most - 2)
                + ", so that one of the prompt and the end fit too");
      }
      return new Pair(Arrays.copyOfRange(tokens, drop, tokens.length), prompt - drop);
    }
  }

  /// Rows of `context` inputs, and their targets.
  private static final class Rows {
    private final List<int[]> inputs = new ArrayList<>();
    private final List<int[]> targets = new ArrayList<>();
    private long targetCount;

    static Rows pack(List<Pair> pairs, int context, int end) {
      var rows = new Rows();
      List<Pair> row = new ArrayList<>();
      int length = 0;
      for (Pair pair : pairs) {
        if (length + pair.length() > context + 1) {
          rows.add(row, context, end);
          row.clear();
          length = 0;
        }
        row.add(pair);
        length += pair.length();
      }
      rows.add(row, context, end);
      return rows;
    }

    private void add(List<Pair> pairs, int context, int end) {
      int[] x = new int[context];
      int[] y = new int[context];
      Arrays.fill(x, end);
      Arrays.fill(y, IGNORED);
      int at = 0; // of the row's tokens, of which the first context are inputs
      for (Pair pair : pairs) {
        for (int i = 0; i < pair.length(); i++, at++) {
          if (at < context) {
            x[at] = pair.tokens[i];
          }
          if (i >= pair.prompt) {
            y[at - 1] = pair.tokens[i];
            targetCount++;
          }
        }
      }
      inputs.add(x);
      targets.add(y);
    }

    int count() {
      return inputs.size();
    }
  }

  @Override
  public int context() {
    return context;
  }

  /// How many prompts were cut.
  public int cutPrompts() {
    return cut;
  }

  /// The tokens of answers to learn, their ends included.
  @Override
  public long trainingTokens() {
    return training.targetCount;
  }

  /// The tokens of answers held out, their ends included.
  @Override
  public long validationTokens() {
    return validation.targetCount;
  }

  @Override
  public long validationTargets() {
    return validation.targetCount;
  }

  /// Batches of `rows` rows, which all come once before one comes again, in an order that `seed`
  /// and the number of that round determine.
  @Override
  public RandomBatches trainingBatches(long seed, int rows) {
    return new Shuffled(training, seed, rows, context);
  }

  /// Batches of `rows` rows that cover what is held out, at most `maxRows` of them, spread evenly.
  @Override
  public OrderedBatches evaluationBatches(int rows, long maxRows) {
    return new Ordered(validation, rows, context, (int) Math.min(validation.count(), maxRows));
  }

  /// Row `r` of batch `n` is row number `n × rows + r` of the rounds.
  private static final class Shuffled implements RandomBatches {
    private final Rows data;
    private final long seed;
    private final int rows;
    private final int context;
    private long round = -1;
    private int[] order = {};

    Shuffled(Rows data, long seed, int rows, int context) {
      this.data = data;
      this.seed = seed;
      this.rows = rows;
      this.context = context;
    }

    @Override
    public void fill(long number, int[] inputs, int[] targets) {
      EvaluationBatches.requireLength(rows, context, inputs, targets);
      TrainingBatches.requireNumber(number);
      for (int row = 0; row < rows; row++) {
        long place = Math.addExact(Math.multiplyExact(number, (long) rows), row);
        int index = order(place / data.count())[(int) (place % data.count())];
        System.arraycopy(data.inputs.get(index), 0, inputs, row * context, context);
        System.arraycopy(data.targets.get(index), 0, targets, row * context, context);
      }
    }

    private int[] order(long wanted) {
      if (wanted != round) {
        order = TrainingBatches.permutation(seed, wanted, data.count());
        round = wanted;
      }
      return order;
    }
  }

  private record Ordered(Rows data, int rows, int context, int chosen) implements OrderedBatches {
    @Override
    public int count() {
      return (chosen + rows - 1) / rows;
    }

    @Override
    public int fill(int number, int[] inputs, int[] targets) {
      EvaluationBatches.requireLength(rows, context, inputs, targets);
      Objects.checkIndex(number, count());
      int counted = 0;
      for (int row = 0; row < rows; row++) {
        long place = (long) number * rows + row;
        boolean real = place < chosen;
        int index = (int) ((real ? place : chosen - 1) * data.count() / chosen);
        System.arraycopy(data.inputs.get(index), 0, inputs, row * context, context);
        if (real) {
          System.arraycopy(data.targets.get(index), 0, targets, row * context, context);
          counted += (int) Arrays.stream(data.targets.get(index)).filter(t -> t != IGNORED).count();
        } else {
          Arrays.fill(targets, row * context, (row + 1) * context, IGNORED);
        }
      }
      return counted;
    }
  }
}
