package fornax.serve;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import fornax.data.Tokenizer;
import fornax.data.UnknownCharacterException;
import fornax.models.gpt.Sampling;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;

/// What a body of `/v1/completions` asks for, checked.
///
/// @param prompts at least one, each of at least one token
/// @param samples texts for each prompt
/// @param sampling of the first text; the others count the seed up
/// @param stops none of them empty
/// @param echo whether a text begins with its prompt
/// @param usage whether a stream ends with the number of tokens
record CompletionRequest(
    List<int[]> prompts,
    int samples,
    int maxTokens,
    Sampling sampling,
    List<String> stops,
    boolean echo,
    boolean stream,
    boolean usage) {
  private static final int MAX_TOKENS = 16; // OpenAI's defaults
  private static final double TEMPERATURE = 1;
  private static final int MOST_STOPS = 16;

  private static final Set<String> KNOWN =
      Set.of(
          "model",
          "prompt",
          "max_tokens",
          "temperature",
          "top_p",
          "top_k",
          "repetition_penalty",
          "n",
          "stop",
          "seed",
          "echo",
          "stream",
          "stream_options",
          "user",
          "best_of",
          "logprobs",
          "suffix",
          "logit_bias",
          "presence_penalty",
          "frequency_penalty");

  /// Reads `body`.
  ///
  /// @param model its name
  /// @throws ApiException if it is no such request, or beyond the limits
  static CompletionRequest of(
      ObjectNode body, String model, Tokenizer tokenizer, ServerOptions options)
      throws ApiException {
    for (var member : body.properties()) {
      if (!KNOWN.contains(member.getKey())) {
        throw ApiException.invalid(member.getKey(), "unknown; need one of " + sortedKnown());
      }
    }
    requireModel(body.path("model"), model);
    refuse(body, "suffix", "text is written at the end of the prompt alone");
    refuse(body, "logprobs", "probabilities are not given");
    requireZero(body, "presence_penalty", "repetition_penalty is there instead");
    requireZero(body, "frequency_penalty", "repetition_penalty is there instead");
    if (!isAbsent(body, "logit_bias") && !body.path("logit_bias").isEmpty()) {
      throw ApiException.invalid("logit_bias", "not supported; need it left out");
    }
    List<int[]> prompts = prompts(body.path("prompt"), tokenizer);
    int n = whole(body, "n", 1, 1, ServerOptions.MOST_CHOICES);
    if ((long) n * prompts.size() > ServerOptions.MOST_CHOICES) {
      throw ApiException.invalid(
          "n",
          "too many texts; got "
              + n
              + " for each of "
              + prompts.size()
              + " prompts; need at most "
              + ServerOptions.MOST_CHOICES
              + " in all");
    }
    int best = whole(body, "best_of", n, 1, Integer.MAX_VALUE);
    if (best != n) {
      throw ApiException.invalid("best_of", "got " + best + "; need n, which is " + n);
    }
    var sampling =
        new Sampling(
            real(body, "temperature", TEMPERATURE, 0, 2),
            whole(body, "top_k", 0, 0, Integer.MAX_VALUE),
            positive(body, "top_p", 1),
            seed(body),
            positive(body, "repetition_penalty", 10));
    JsonNode streaming = body.path("stream_options");
    return new CompletionRequest(
        prompts,
        n,
        whole(
            body, "max_tokens", Math.min(MAX_TOKENS, options.maxTokens()), 1, options.maxTokens()),
        sampling,
        stops(body.path("stop")),
        flag(body, "echo"),
        flag(body, "stream"),
        streaming instanceof ObjectNode object && flag(object, "include_usage"));
  }

  private static String sortedKnown() {
    return String.join(", ", KNOWN.stream().sorted().toList());
  }

  private static void requireModel(JsonNode asked, String model) throws ApiException {
    if (!asked.isMissingNode() && !asked.isNull() && !asked.asText().equals(model)) {
      throw new ApiException(
          404,
          "model",
          "model_not_found",
          "model: not here; got " + shown(asked) + "; need \"" + model + "\", or leave it out");
    }
  }

  private static boolean isAbsent(ObjectNode body, String name) {
    return !body.hasNonNull(name);
  }

  private static void refuse(ObjectNode body, String name, String why) throws ApiException {
    if (!isAbsent(body, name)) {
      throw ApiException.invalid(name, "not supported: " + why + "; need it left out");
    }
  }

  private static void requireZero(ObjectNode body, String name, String why) throws ApiException {
    if (!isAbsent(body, name) && body.path(name).asDouble(1) != 0) {
      throw ApiException.invalid(name, "not supported: " + why + "; need 0");
    }
  }

  private static boolean flag(ObjectNode body, String name) throws ApiException {
    JsonNode value = body.path(name);
    if (isAbsent(body, name)) {
      return false;
    }
    if (!value.isBoolean()) {
      throw ApiException.invalid(name, "got " + shown(value) + "; need true or false");
    }
    return value.booleanValue();
  }

  private static int whole(ObjectNode body, String name, int otherwise, int least, int most)
      throws ApiException {
    JsonNode value = body.path(name);
    if (isAbsent(body, name)) {
      return otherwise;
    }
    if (!value.canConvertToInt()
        || !value.isIntegralNumber()
        || value.intValue() < least
        || value.intValue() > most) {
      throw ApiException.invalid(
          name, "got " + shown(value) + "; need a whole number from " + least + " to " + most);
    }
    return value.intValue();
  }

  private static double real(
      ObjectNode body, String name, double otherwise, double least, double most)
      throws ApiException {
    JsonNode value = body.path(name);
    if (isAbsent(body, name)) {
      return otherwise;
    }
    if (!value.isNumber() || !(value.doubleValue() >= least && value.doubleValue() <= most)) {
      throw ApiException.invalid(
          name, "got " + shown(value) + "; need a number from " + least + " to " + most);
    }
    return value.doubleValue();
  }

  private static double positive(ObjectNode body, String name, double most) throws ApiException {
    double value = real(body, name, 1, 0, most);
    if (value == 0) {
      throw ApiException.invalid(name, "got 0; need a number above 0 and at most " + most);
    }
    return value;
  }

  private static long seed(ObjectNode body) throws ApiException {
    JsonNode value = body.path("seed");
    if (isAbsent(body, "seed")) {
      return ThreadLocalRandom.current().nextLong();
    }
    if (!value.isIntegralNumber() || !value.canConvertToLong()) {
      throw ApiException.invalid("seed", "got " + shown(value) + "; need a whole number");
    }
    return value.longValue();
  }

  private static List<String> stops(JsonNode value) throws ApiException {
    List<String> stops = new ArrayList<>();
    if (value.isTextual()) {
      stops.add(value.textValue());
    } else if (value.isArray()) {
      for (JsonNode stop : value) {
        stops.add(stop.isTextual() ? stop.textValue() : "");
      }
    } else if (!value.isMissingNode() && !value.isNull()) {
      stops.add("");
    }
    if (stops.contains("") || stops.size() > MOST_STOPS) {
      throw ApiException.invalid(
          "stop",
          "got " + shown(value) + "; need a text, or at most " + MOST_STOPS + ", none empty");
    }
    return stops;
  }

  private static List<int[]> prompts(JsonNode value, Tokenizer tokenizer) throws ApiException {
    List<int[]> prompts = new ArrayList<>();
    if (value.isMissingNode() || value.isNull()) {
      prompts.add(encode("", tokenizer));
    } else if (value.isArray() && !value.isEmpty() && !value.get(0).isNumber()) {
      for (JsonNode one : value) {
        prompts.add(prompt(one, tokenizer));
      }
    } else {
      prompts.add(prompt(value, tokenizer));
    }
    return prompts;
  }

  private static int[] prompt(JsonNode value, Tokenizer tokenizer) throws ApiException {
    if (value.isTextual()) {
      return encode(value.textValue(), tokenizer);
    }
    if (!value.isArray() || value.isEmpty()) {
      throw ApiException.invalid(
          "prompt",
          "got " + shown(value) + "; need a text, an array of texts, or of tokens' numbers");
    }
    int[] tokens = new int[value.size()];
    for (int i = 0; i < tokens.length; i++) {
      JsonNode token = value.get(i);
      if (!token.canConvertToInt()
          || !token.isIntegralNumber()
          || token.intValue() < 0
          || token.intValue() >= tokenizer.vocabularySize()) {
        throw ApiException.invalid(
            "prompt",
            "got the token "
                + shown(token)
                + "; need numbers from 0 to "
                + (tokenizer.vocabularySize() - 1));
      }
      tokens[i] = token.intValue();
    }
    return tokens;
  }

  private static int[] encode(String text, Tokenizer tokenizer) throws ApiException {
    try {
      return text.isEmpty() ? new int[] {tokenizer.beginning()} : tokenizer.encode(text);
    } catch (UnknownCharacterException e) {
      throw ApiException.invalid("prompt", String.valueOf(e.getMessage()));
    }
  }

  private static String shown(JsonNode value) {
    String text = value.toString();
    return text.length() <= 60 ? text : text.substring(0, 60) + "...";
  }
}
