package fornax.cli;

import fornax.models.gpt.Gpt;
import fornax.serve.CompletionServer;
import fornax.serve.ServerOptions;
import java.io.IOException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@CommandLine.Command(
    name = "serve",
    description = {
      "Lets a trained model continue texts over HTTP, as OpenAI's /v1/completions, with a page to"
          + " try it in the browser.",
      "",
      "It listens on this machine alone, until Ctrl-C. There are no keys: behind another --host,"
          + " everybody who reaches it may use it."
    },
    footer = {
      "",
      "Examples:",
      "  fornax serve --checkpoint runs/DIR",
      "  curl localhost:8080/v1/completions -H 'Content-Type: application/json' \\",
      "    -d '{\"prompt\": \"The old man\", \"max_tokens\": 50, \"stream\": true}'"
    })
final class ServeCommand extends Command {
  private static final ServerOptions DEFAULT = ServerOptions.DEFAULT;

  private final Output output;

  @Option(
      names = "--checkpoint",
      paramLabel = "DIR",
      required = true,
      order = 1,
      description = "The folder of a run, as fornax train prints it, or of a Hugging Face GPT-2.")
  @Nullable Path checkpoint;

  @Option(
      names = "--port",
      paramLabel = "N",
      order = 2,
      converter = Numbers.CountOrZero.class,
      description = "The port; 0: any that is free. Default: 8080.")
  int port = DEFAULT.port();

  @Option(
      names = "--host",
      paramLabel = "ADDRESS",
      order = 3,
      description = "The address to listen on. Default: 127.0.0.1, this machine alone.")
  String host = DEFAULT.host();

  @Option(
      names = "--parallel",
      paramLabel = "N",
      order = 4,
      converter = Numbers.Count.class,
      description = "Texts that are written at a time, in the same passes. Default: 8.")
  int parallel = DEFAULT.parallel();

  @Option(
      names = "--queue",
      paramLabel = "N",
      order = 5,
      converter = Numbers.CountOrZero.class,
      description = "Requests that may wait; more are refused, with status 503. Default: 64.")
  int queue = DEFAULT.queue();

  @Option(
      names = "--max-tokens",
      paramLabel = "N",
      order = 6,
      converter = Numbers.Count.class,
      description = "The most tokens that a request may ask for. Default: 4096.")
  int maxTokens = DEFAULT.maxTokens();

  @Option(
      names = "--max-body",
      paramLabel = "BYTES",
      order = 7,
      converter = Numbers.Count.class,
      description = "The longest request. Default: 1048576.")
  int maxBody = DEFAULT.maxBodyBytes();

  @Option(
      names = "--name",
      paramLabel = "NAME",
      order = 8,
      description = "The model's name for clients. Default: that of the folder.")
  @Nullable String name;

  @Mixin ModelDeviceOptions computing = new ModelDeviceOptions();

  ServeCommand(Output output) {
    this.output = output;
  }

  @Override
  public Integer call() throws IOException {
    ServerOptions options = options();
    Checkpoint from = Checkpoint.open(required(checkpoint));
    String shown = or(name, String.valueOf(required(checkpoint).toRealPath().getFileName()));
    try (var opened = computing.open(output.err());
        Gpt model = from.model(opened, computing.precision, output);
        var server = listen(model, from, shown, options);
        var _ = new Interrupt(output.err(), "stopping...", server::close)) {
      output
          .err()
          .printf(
              Locale.ROOT,
              "model: %s, %,d parameters, context %d; %s%n",
              shown,
              model.parameterCount(),
              from.config().model().context(),
              from.tokenizer());
      output.out().println("listening on " + url(server.address()) + "  (Ctrl-C ends it)");
      output.out().flush();
      server.run();
    }
    return ExitCode.OK;
  }

  private ServerOptions options() {
    try {
      return new ServerOptions(host, port, parallel, queue, maxTokens, maxBody);
    } catch (IllegalArgumentException e) {
      throw new UserException(String.valueOf(e.getMessage()), e);
    }
  }

  private static CompletionServer listen(
      Gpt model, Checkpoint from, String name, ServerOptions options) throws IOException {
    try {
      return new CompletionServer(model, from.tokenizer(), name, options);
    } catch (BindException e) {
      throw new UserException(
          "serve: cannot listen on "
              + options.host()
              + " port "
              + options.port()
              + ": "
              + e.getMessage()
              + "; need a free port; try --port 0",
          e);
    }
  }

  private static String url(InetSocketAddress address) {
    InetAddress host = address.getAddress();
    return "http://"
        + (host.isLoopbackAddress() || host.isAnyLocalAddress()
            ? "localhost"
            : host.getHostAddress())
        + ":"
        + address.getPort();
  }
}
