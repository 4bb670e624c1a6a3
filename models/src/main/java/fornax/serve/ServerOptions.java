package fornax.serve;

/// Where a server listens, and how much it takes on.
///
/// @param host the address to listen on
/// @param port 0: any that is free
/// @param parallel the most texts that are written at a time
/// @param queue the most requests that wait behind those that are served
/// @param maxTokens the most tokens that a request may ask for
/// @param maxBodyBytes the longest body of a request
/// @param patienceSeconds how long a client may take nothing of its answer until it is hung up on
public record ServerOptions(
    String host,
    int port,
    int parallel,
    int queue,
    int maxTokens,
    int maxBodyBytes,
    int patienceSeconds) {
  private static final int PATIENCE_SECONDS = 30;

  /// The most texts that one request may ask for.
  public static final int MOST_CHOICES = 64;

  /// On loopback alone.
  public static final ServerOptions DEFAULT =
      new ServerOptions("127.0.0.1", 8080, 8, 64, 4096, 1 << 20, PATIENCE_SECONDS);

  /// @throws IllegalArgumentException if a number is out of range
  public ServerOptions {
    require("port", port, 0, 65_535);
    require("parallel", parallel, 1, 1024);
    require("queue", queue, 0, 100_000);
    require("max tokens", maxTokens, 1, Integer.MAX_VALUE);
    require("body", maxBodyBytes, 1024, 1 << 30);
    require("patience", patienceSeconds, 1, 86_400);
  }

  /// With the default patience.
  public ServerOptions(
      String host, int port, int parallel, int queue, int maxTokens, int maxBodyBytes) {
    this(host, port, parallel, queue, maxTokens, maxBodyBytes, PATIENCE_SECONDS);
  }

  private static void require(String name, int value, int least, int most) {
    if (value < least || value > most) {
      throw new IllegalArgumentException(
          "serve: " + name + " out of range; got " + value + "; need " + least + " to " + most);
    }
  }

  public ServerOptions withPort(int number) {
    return new ServerOptions(
        host, number, parallel, queue, maxTokens, maxBodyBytes, patienceSeconds);
  }

  public ServerOptions withLimits(int parallel, int queue, int maxTokens, int maxBodyBytes) {
    return new ServerOptions(host, port, parallel, queue, maxTokens, maxBodyBytes, patienceSeconds);
  }

  public ServerOptions withPatience(int seconds) {
    return new ServerOptions(host, port, parallel, queue, maxTokens, maxBodyBytes, seconds);
  }
}
