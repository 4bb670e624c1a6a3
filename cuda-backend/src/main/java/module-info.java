/// The CUDA backend.
module fornax.cuda {
  requires static transitive org.jspecify;
  requires static com.google.errorprone.annotations;
  requires transitive fornax.core;
  requires jcuda;
  requires jcublas;

  provides fornax.backend.BackendProvider with
      fornax.cuda.CudaProvider;
}
