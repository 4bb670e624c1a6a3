package fornax.serve;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import fornax.data.CharTokenizer;
import fornax.testkit.Fuzz;
import java.io.IOException;
import org.junit.jupiter.api.Test;

/// Any body is a request within the limits, or refused with a status of 400 or 404.
class CompletionRequestFuzzTest {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final CharTokenizer TOKENIZER = CharTokenizer.of(" abcdefghij");
  private static final ServerOptions OPTIONS = ServerOptions.DEFAULT;

  static final Fuzz FUZZ =
      Fuzz.of("request", CompletionRequestFuzzTest::read)
          .seed(
              "{\"prompt\":\"abc\",\"max_tokens\":20,\"temperature\":0.5,\"stop\":[\"a\",\"bc\"]}")
          .seed("{\"model\":\"m\",\"prompt\":[\"a\",\"b\"],\"n\":2,\"top_p\":0.9,\"top_k\":5}")
          .seed("{\"prompt\":[[1,2],[3]],\"seed\":7,\"echo\":true,\"stream\":true}")
          .seed("{\"prompt\":[1,2,3],\"stream_options\":{\"include_usage\":true},\"best_of\":1}")
          .refusing(ApiException.class)
          .allocating(1 << 20, 200)
          .words(
              "prompt", "logit_bias", "presence_penalty", "suffix", "repetition_penalty", "user");

  private static void read(byte[] input) throws IOException, ApiException {
    ObjectNode body;
    try {
      if (!(JSON.readTree(input) instanceof ObjectNode object)) {
        return;
      }
      body = object;
    } catch (JacksonException e) {
      return; // the server's own answer
    }
    try {
      CompletionRequest request = CompletionRequest.of(body, "m", TOKENIZER, OPTIONS);
      int texts = request.prompts().size() * request.samples();
      if (texts < 1
          || texts > ServerOptions.MOST_CHOICES
          || request.maxTokens() < 1
          || request.maxTokens() > OPTIONS.maxTokens()) {
        throw new AssertionError(request);
      }
    } catch (ApiException e) {
      if (e.status() != 400 && e.status() != 404) {
        throw new AssertionError(e);
      }
      String _ = e.json().toString();
      throw e;
    }
  }

  /// Jazzer's way in.
  public static void fuzzerTestOneInput(byte[] input) {
    FUZZ.check(input);
  }

  @Test
  void anyBody_isARequestOrRefused() {
    FUZZ.run();
  }
}
