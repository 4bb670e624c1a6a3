/// The CPU backend. Without the Vector API it falls back to scalar loops.
module fornax.cpu {
  requires static transitive org.jspecify;
  requires static com.google.errorprone.annotations;
  requires static jdk.incubator.vector;
  requires jdk.management;
  requires transitive fornax.core;

  provides fornax.backend.BackendProvider with
      fornax.cpu.CpuProvider;
}
