package fornax.opencl;

/// A compiled kernel.
///
/// @param spec what it was compiled from
/// @param handle the kernel object
/// @param wide whether the kernel counts elements in 64 bits
record Kernel(Spec spec, long handle, boolean wide) {
  /// One kernel of one file, specialised.
  ///
  /// @param file the file's name without `.cl`
  /// @param name the kernel's name
  /// @param options what the compiler is told: `-D X=F32 ...`
  record Spec(String file, String name, String options) {
    static Spec of(String file, String name, String options) {
      return new Spec(file, name, options);
    }

    @Override
    public String toString() {
      return file + ".cl:" + name + (options.isEmpty() ? "" : " [" + options.strip() + "]");
    }
  }
}
