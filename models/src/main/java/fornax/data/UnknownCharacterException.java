package fornax.data;

/// A character that a [CharTokenizer] has no token for. The message is one line: the character, its
/// code point, its position and what to do.
public final class UnknownCharacterException extends IllegalArgumentException {
  private static final long serialVersionUID = 1L;

  UnknownCharacterException(int codePoint, int position, String known) {
    super(
        "char tokenizer: unknown character "
            + CharTokenizer.describe(codePoint)
            + " at position "
            + position
            + "; need one of the vocabulary's characters "
            + known
            + "; leave it out, or train on a text that holds it");
  }
}
