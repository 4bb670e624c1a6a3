/// Arrays, tensors with automatic differentiation, layers, optimisers, and the contract of a
/// backend.
module fornax.core {
  requires static transitive org.jspecify;
  requires static com.google.errorprone.annotations;
}
