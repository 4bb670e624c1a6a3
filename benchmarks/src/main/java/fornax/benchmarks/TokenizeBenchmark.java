package fornax.benchmarks;

import fornax.data.CharTokenizer;
import fornax.data.Gpt2Tokenizer;
import fornax.data.Texts;
import fornax.data.Tokenizer;
import java.io.IOException;
import java.io.UncheckedIOException;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/// Text to tokens. Sizes are a tokenizer and a number of characters of Dickens.
@SuppressWarnings("NullAway.Init") // by prepare()
public class TokenizeBenchmark extends OpBenchmark {
  @Param({"char-100000", "gpt2-100000"})
  public String size;

  private Tokenizer tokenizer;
  private String text;

  @Override
  void prepare() {
    try {
      text = Texts.dickens().substring(0, characters());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    tokenizer = size.startsWith("char") ? CharTokenizer.of(text) : new Gpt2Tokenizer();
  }

  private int characters() {
    return Integer.parseInt(size.substring(size.indexOf('-') + 1));
  }

  @Benchmark
  public int[] encode() {
    return tokenizer.encode(text);
  }

  @Override
  Work work(String method) {
    return Work.overhead();
  }
}
