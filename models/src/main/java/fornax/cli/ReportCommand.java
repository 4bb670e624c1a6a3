package fornax.cli;

import fornax.train.RunFolder;
import fornax.train.RunReport;
import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Parameters;

@CommandLine.Command(
    name = "report",
    description = {
      "Makes a run's report.html again: curves, samples, config and environment in one page."
    },
    footer = {"", "Example:", "  fornax report runs/mine"})
final class ReportCommand extends Command {
  private final Output output;

  @Parameters(paramLabel = "RUN", description = "The folder of a run, ended or not.")
  @Nullable Path run;

  ReportCommand(Output output) {
    this.output = output;
  }

  @Override
  public Integer call() throws IOException {
    output.out().println(new RunReport(RunFolder.open(required(run))).write());
    return ExitCode.OK;
  }
}
