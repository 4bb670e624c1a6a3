package fornax.data;

/// Tokens by their place, in memory or in mapped files.
public sealed interface TokenSequence permits TokenArray, TokenShards {
  /// The sequence `tokens`, which is not copied.
  static TokenSequence of(int... tokens) {
    return new TokenArray(tokens);
  }

  /// How many tokens there are.
  long length();

  /// Copies `count` tokens from place `from` on to `to[offset]` and behind.
  ///
  /// @throws IndexOutOfBoundsException if the sequence or the array does not have these places
  void copy(long from, int[] to, int offset, int count);
}
