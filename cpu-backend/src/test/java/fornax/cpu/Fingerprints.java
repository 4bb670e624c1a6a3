package fornax.cpu;

/// Prints the bits of every operation's results in the virtual machine that it runs in.
final class Fingerprints {
  private Fingerprints() {}

  public static void main(String[] args) {
    System.out.println(Simd.LANES);
    CpuBackendTest.fingerprints(2).forEach(System.out::println);
  }
}
