package fornax.cuda;

import fornax.io.ResourceFiles;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URL;
import java.nio.file.Path;
import java.util.List;

/// Loads JCuda's own native libraries.
///
/// JCuda unpacks them under fixed names into `java.io.tmpdir` and takes what it finds there, so
/// that two JVMs that start at once may load each other's half-written files. Here they are
/// unpacked first, whole or not at all, into a folder of Fornax's cache, and `java.io.tmpdir`
/// points there while JCuda's class loads them.
final class JcudaNatives {
  private static final String VERSION = "12.6.0";

  private JcudaNatives() {}

  /// Runs `load`, which loads JCuda's class, with the native library `name` in place.
  ///
  /// @param name `JCudaDriver` or `JCublas2`
  static void with(String name, Runnable load) {
    synchronized (JcudaNatives.class) {
      Path folder = CudaCache.folder("jcuda-" + VERSION);
      String file = System.mapLibraryName(name + "-" + VERSION + "-" + platform());
      URL resource = JcudaNatives.class.getResource("/lib/" + file);
      if (resource == null) {
        throw new UnsatisfiedLinkError(
            "cuda: no resource /lib/" + file + " on the class path; need JCuda's natives");
      }
      try {
        Path _ = ResourceFiles.unpack(resource, folder);
      } catch (IOException e) {
        throw new UncheckedIOException("cuda: cannot unpack " + file + " into " + folder, e);
      }
      String before = System.getProperty("java.io.tmpdir");
      System.setProperty("java.io.tmpdir", folder.toString());
      try {
        load.run();
      } finally {
        System.setProperty("java.io.tmpdir", before);
      }
    }
  }

  private static String platform() {
    String system = System.getProperty("os.name", "").startsWith("Windows") ? "windows" : "linux";
    String architecture = System.getProperty("os.arch", "");
    return system
        + "-"
        + (List.of("amd64", "x86_64").contains(architecture) ? "x86_64" : architecture);
  }
}
