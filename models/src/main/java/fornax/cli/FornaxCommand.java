package fornax.cli;

import picocli.CommandLine;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Option;

@CommandLine.Command(
    name = "fornax",
    versionProvider = FornaxCommand.Version.class,
    synopsisHeading = "Usage: ",
    customSynopsis = "fornax COMMAND [OPTION...]",
    description = "%nTrains GPTs and lets them write, on CUDA, OpenCL or the CPU.%n",
    sortOptions = false,
    commandListHeading = "Commands:%n",
    optionListHeading = "%nOptions:%n",
    footer = {
      "",
      "Examples:",
      "  fornax train                              a small GPT learns English from Dickens",
      "  fornax generate --checkpoint runs/DIR     and writes some of its own",
      "  fornax train --data notes.txt --steps 500",
      "",
      "Exit codes: 0 done; 1 a check failed; 2 bad input; 130 stopped by Ctrl-C.",
      "fornax COMMAND --help shows a command's options."
    })
final class FornaxCommand {
  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      order = 1,
      description = "Show this help.")
  boolean help;

  @Option(
      names = {"-V", "--version"},
      versionHelp = true,
      order = 2,
      description = "Show the version.")
  boolean version;

  /// What `--version` says, and what checkpoints record.
  static String version() {
    String version = FornaxCommand.class.getPackage().getImplementationVersion();
    return "Fornax "
        + (version == null ? "(development build)" : version)
        + " on Java "
        + Runtime.version().feature();
  }

  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      return new String[] {version()};
    }
  }
}
