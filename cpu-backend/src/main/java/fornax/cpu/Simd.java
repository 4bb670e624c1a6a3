package fornax.cpu;

/// Says whether kernels may use the Vector API. Classes that mention `jdk.incubator.vector` are
/// reached only behind `if (Simd.AVAILABLE)`, so that without the module they are never loaded.
final class Simd {
  /// The system property that switches vector kernels off: `-Dfornax.simd=false`.
  static final String PROPERTY = "fornax.simd";

  static final boolean AVAILABLE =
      !"false".equals(System.getProperty(PROPERTY))
          && ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();

  private Simd() {}
}
