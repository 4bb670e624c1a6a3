package fornax.cli;

import picocli.CommandLine;

@CommandLine.Command(
    name = "tokenizer",
    description = "Makes tokenizers.",
    footer = {
      "",
      "Commands:",
      "  train    learns a byte-level BPE from a text: fornax tokenizer train --help"
    })
final class TokenizerCommand extends Command {
  @Override
  public Integer call() {
    throw new UserException(
        "tokenizer: no command; need train; fornax tokenizer train --help shows its options");
  }
}
