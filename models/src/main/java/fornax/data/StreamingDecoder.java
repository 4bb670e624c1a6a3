package fornax.data;

/// Turns tokens into text as they come, one at a time. A character whose bytes are spread over
/// several tokens appears with the last of them, so that everything returned can be printed at
/// once; the pieces put together are [Tokenizer#decode] of all the tokens.
public interface StreamingDecoder {
  /// The text that `token` completes; may be empty.
  ///
  /// @throws IllegalArgumentException if `token` is outside the vocabulary
  String next(int token);

  /// The text of what is still incomplete, as U+FFFD; empty where nothing is. The decoder may then
  /// be used for another text.
  String end();
}
