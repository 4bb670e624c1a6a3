package fornax.data;

/// Tokens in memory.
final class TokenArray implements TokenSequence {
  private final int[] tokens;

  TokenArray(int[] tokens) {
    this.tokens = tokens;
  }

  @Override
  public long length() {
    return tokens.length;
  }

  @Override
  public void copy(long from, int[] to, int offset, int count) {
    System.arraycopy(tokens, (int) Math.min(from, Integer.MAX_VALUE), to, offset, count);
  }
}
