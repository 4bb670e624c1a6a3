/// Arrays, tensors with automatic differentiation, layers, optimisers, and the contract of a
/// backend.
module fornax.core {
  requires static transitive org.jspecify;
  requires static transitive com.google.errorprone.annotations;
  requires transitive jdk.jfr;
  requires jdk.management;

  exports fornax.array;
  exports fornax.backend;
  exports fornax.backend.reference;
  exports fornax.conformance;
  exports fornax.tensor;
  exports fornax.nn;
  exports fornax.optim;
  exports fornax.io;

  uses fornax.backend.BackendProvider;

  provides fornax.backend.BackendProvider with
      fornax.backend.reference.ReferenceProvider;
}
