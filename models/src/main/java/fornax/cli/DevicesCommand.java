package fornax.cli;

import fornax.backend.BackendProvider;
import fornax.backend.Backends;
import fornax.backend.DeviceInfo;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.Option;

@CommandLine.Command(
    name = "devices",
    description =
        "Lists the devices of every backend, or why one has none and what to do about it.")
final class DevicesCommand extends Command {
  private static final List<String> TITLES = List.of("BACKEND", "DEVICE", "AVAILABLE", "NAME");

  private final Output output;

  @Option(names = "--json", description = "Print one line of JSON.")
  boolean json;

  DevicesCommand(Output output) {
    this.output = output;
  }

  @Override
  public Integer call() {
    List<DeviceInfo> devices = Backends.devices();
    if (json) {
      printJson(devices);
    } else {
      printTable(devices);
      if (verbose) {
        printReports();
      }
    }
    return ExitCode.OK;
  }

  private void printJson(List<DeviceInfo> devices) {
    JsonLine.print(
        output.out(),
        json -> {
          json.writeStartArray();
          for (DeviceInfo device : devices) {
            json.writeStartObject();
            json.writeStringField("backend", device.backend());
            json.writeStringField("id", device.id());
            json.writeStringField("name", device.name());
            json.writeBooleanField("available", device.available());
            json.writeStringField("reason", device.reason());
            json.writeStringField("fix", device.fix());
            json.writeEndObject();
          }
          json.writeEndArray();
        });
  }

  private void printReports() {
    for (BackendProvider provider : Backends.providers()) {
      String report = provider.report();
      if (!report.isEmpty()) {
        output.out().println();
        output.out().println(provider.name());
        report.lines().forEach(line -> output.out().println("  " + line));
      }
    }
  }

  private void printTable(List<DeviceInfo> devices) {
    PrintStream out = output.out();
    if (devices.isEmpty()) {
      out.println("no backend is on the class path; need at least fornax-cpu-backend");
      return;
    }
    List<List<String>> rows = new ArrayList<>();
    rows.add(TITLES);
    for (DeviceInfo device : devices) {
      rows.add(
          List.of(
              device.backend(),
              device.available() ? device.id() : "-",
              device.available() ? "yes" : "no",
              device.available() ? device.name() : device.reason()));
    }
    int[] widths = new int[TITLES.size() - 1];
    for (List<String> row : rows) {
      for (int i = 0; i < widths.length; i++) {
        widths[i] = Math.max(widths[i], row.get(i).length());
      }
    }
    for (int i = 0; i < rows.size(); i++) {
      StringBuilder line = new StringBuilder();
      for (int c = 0; c < widths.length; c++) {
        String cell = rows.get(i).get(c);
        line.append(cell).repeat(' ', widths[c] + 2 - cell.length());
      }
      int indent = line.length();
      out.println(line.append(rows.get(i).getLast()));
      String fix = i == 0 ? "" : devices.get(i - 1).fix();
      if (!fix.isEmpty()) {
        out.println(" ".repeat(indent) + "fix: " + fix);
      }
    }
  }
}
