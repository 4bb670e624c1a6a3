package fornax.cli;

/// The program that `./fornax` starts.
public final class Main {
  private Main() {}

  /// Prints the version.
  public static void main(String[] args) {
    System.out.println("Fornax 0.1.0 on Java " + Runtime.version().feature());
  }
}
