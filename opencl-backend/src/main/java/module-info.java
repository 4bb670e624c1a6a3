/// The OpenCL backend.
module fornax.opencl {
  requires static transitive org.jspecify;
  requires static com.google.errorprone.annotations;
  requires transitive fornax.core;
  requires org.lwjgl;
  requires org.lwjgl.opencl;

  provides fornax.backend.BackendProvider with
      fornax.opencl.OpenClProvider;
}
