package fornax.cli;

import picocli.CommandLine;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@CommandLine.Command(
    name = "fornax",
    versionProvider = FornaxCommand.Version.class,
    synopsisHeading = "Usage: ",
    customSynopsis = "fornax COMMAND [OPTION...]",
    description = "%nTrains GPTs and lets them write, on CUDA, OpenCL or the CPU.%n",
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
final class FornaxCommand extends Command {
  @Spec CommandSpec spec;

  @Option(
      names = {"-V", "--version"},
      versionHelp = true,
      order = 100,
      description = "Show the version.")
  boolean version;

  private final Output output;

  FornaxCommand(Output output) {
    this.output = output;
  }

  /// Without a command: the help.
  @Override
  public Integer call() {
    spec.commandLine().usage(output.out());
    return ExitCode.OK;
  }

  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      String version = FornaxCommand.class.getPackage().getImplementationVersion();
      return new String[] {
        "Fornax "
            + (version == null ? "(development build)" : version)
            + " on Java "
            + Runtime.version().feature()
      };
    }
  }
}
