package fornax.cli;

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import picocli.CommandLine;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.Model.UsageMessageSpec;

/// The program that `./fornax` starts.
public final class Main {
  private static final int HELP_COLUMNS = 100;

  private static final List<String> SECTIONS =
      List.of(
          UsageMessageSpec.SECTION_KEY_SYNOPSIS_HEADING,
          UsageMessageSpec.SECTION_KEY_SYNOPSIS,
          UsageMessageSpec.SECTION_KEY_DESCRIPTION_HEADING,
          UsageMessageSpec.SECTION_KEY_DESCRIPTION,
          UsageMessageSpec.SECTION_KEY_COMMAND_LIST_HEADING,
          UsageMessageSpec.SECTION_KEY_COMMAND_LIST,
          UsageMessageSpec.SECTION_KEY_OPTION_LIST_HEADING,
          UsageMessageSpec.SECTION_KEY_OPTION_LIST,
          UsageMessageSpec.SECTION_KEY_FOOTER);

  private static final String LOG_FORMAT = "java.util.logging.SimpleFormatter.format";

  private Main() {}

  /// Runs a command and ends with its exit code.
  public static void main(String[] args) {
    if (System.getProperty(LOG_FORMAT) == null) {
      System.setProperty(LOG_FORMAT, "%5$s%6$s%n"); // a warning is one line, as an error is
    }
    // Digits and decimal points are those that files, JSON and other programs have, wherever this
    // runs.
    Locale.setDefault(Locale.Category.FORMAT, Locale.ROOT);
    System.exit(run(Output.ofProcess(), args));
  }

  /// Runs a command and returns its exit code.
  static int run(Output output, String... args) {
    boolean verbose = Arrays.asList(args).contains("--verbose");
    var line = new CommandLine(new FornaxCommand());
    for (Command command :
        List.of(
            new TrainCommand(output),
            new PlanCommand(output),
            new ReportCommand(output),
            new GenerateCommand(output),
            new ServeCommand(output),
            new EvalCommand(output),
            new ConvertCommand(output),
            new TokenizerCommand(),
            new LearnCommand(output),
            new PredictCommand(output),
            new SimilarCommand(output),
            new DevicesCommand(output),
            new SelftestCommand(output),
            new BenchCommand(output))) {
      var _ = line.addSubcommand(command);
    }
    var _ =
        Objects.requireNonNull(line.getSubcommands().get("tokenizer"))
            .addSubcommand(new TokenizerTrainCommand(output));
    var _ =
        line.setOut(new PrintWriter(output.out(), true, StandardCharsets.UTF_8))
            .setErr(new PrintWriter(output.err(), true, StandardCharsets.UTF_8))
            .setColorScheme(CommandLine.Help.defaultColorScheme(Ansi.OFF))
            .setUsageHelpWidth(HELP_COLUMNS)
            .setOverwrittenOptionsAllowed(true) // the last one counts
            .setUnmatchedOptionsAllowedAsOptionParameters(false)
            .setParameterExceptionHandler((error, _) -> Errors.report(output.err(), error, verbose))
            .setExecutionExceptionHandler(
                (error, _, _) -> Errors.report(output.err(), error, verbose));
    line.setHelpSectionKeys(SECTIONS);
    line.getSubcommands().values().forEach(Main::layOutHelp);
    if (args.length == 0) {
      line.usage(output.out());
      return ExitCode.OK;
    }
    try {
      return line.execute(args);
    } catch (OutOfMemoryError | StackOverflowError e) {
      return Errors.report(output.err(), e, verbose);
    }
  }

  private static void layOutHelp(CommandLine command) {
    var _ =
        command
            .getCommandSpec()
            .usageMessage()
            .sortOptions(false)
            .customSynopsis(command.getCommandSpec().qualifiedName() + " [OPTION...]")
            .descriptionHeading("%n")
            .optionListHeading("%nOptions:%n");
    command.getSubcommands().values().forEach(Main::layOutHelp);
  }
}
