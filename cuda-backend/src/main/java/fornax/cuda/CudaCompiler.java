package fornax.cuda;

import fornax.backend.DeviceException;
import fornax.backend.Settings;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Makes code for a card from a kernel file: with NVRTC where it is there, kept on disk under a key
/// of all that the code depends on; else the PTX that was put into the jar when it was built.
final class CudaCompiler {
  /// The PTX of the jar is for this architecture and all later ones, but where a file needs a
  /// later.
  static final int BUILT_CAPABILITY = 70;

  /// The PTX of the jar is of this version, of CUDA 10.0, so that every driver takes it: NVRTC
  /// names its own, which drivers older than it refuse, but emits nothing newer for these kernels,
  /// as NVIDIA's assembler confirms in a test.
  private static final String BUILT_PTX_VERSION = ".version 6.3";

  /// Of CUDA 11.0, the first for the cards that these kernels need.
  private static final String TENSOR_CORES_PTX_VERSION = ".version 7.0";

  private static final List<String> OPTIONS = List.of("--std=c++17");

  private final @Nullable Nvrtc nvrtc;
  private final String nvrtcVersion;
  private final int driverVersion;

  /// @param nvrtc null where there is none
  /// @param driverVersion as `cuDriverGetVersion` gives it
  CudaCompiler(@Nullable Nvrtc nvrtc, int driverVersion) {
    this.nvrtc = nvrtc;
    this.nvrtcVersion = nvrtc == null ? "" : nvrtc.version();
    this.driverVersion = driverVersion;
  }

  /// Code that a driver can load.
  ///
  /// @param cubin whether it is a cubin; else PTX
  @SuppressWarnings("ArrayRecordComponent") // made, loaded and dropped
  record Code(byte[] bytes, boolean cubin) {}

  /// Code for the compute capability `capability` (such as 90): a cubin where NVRTC knows that
  /// card, else PTX; or what `-Dfornax.cuda.code` says.
  Code compile(KernelSource source, int capability) {
    Nvrtc compiler = nvrtc;
    boolean cubin =
        switch (Settings.cudaCode()) {
          case PTX -> false;
          case CUBIN -> true;
          case AUTO -> compiler != null && compiler.knows(capability);
        };
    return cubin ? new Code(cubin(source, capability), true) : ptx(source, capability);
  }

  /// PTX, which the driver itself compiles for the card.
  Code ptx(KernelSource source, int capability) {
    Nvrtc compiler = nvrtc;
    if (compiler != null) {
      int known = capability;
      while (known > BUILT_CAPABILITY && !compiler.knows(known)) {
        known--; // PTX of an older architecture runs on every later one
      }
      byte[] old =
          compiler.knows(known) ? null : source.builtPtx(); // a card that NVRTC has dropped
      return new Code(old != null ? old : cached(compiler, source, "compute_" + known), false);
    }
    byte[] built = source.builtPtx();
    if (built == null) {
      throw new DeviceException(
          "cuda: cannot compile "
              + source.name()
              + ".cu; got no NVRTC, and a jar built without PTX; need "
              + CudaProbe.NVRTC_FIX);
    }
    return new Code(built, false);
  }

  /// PTX that a driver older than NVRTC takes too.
  Code portablePtx(KernelSource source) {
    Nvrtc compiler = nvrtc;
    byte[] built = source.builtPtx();
    if (built == null && compiler != null) {
      built = builtPtx(compiler, source);
    }
    return built == null ? ptx(source, BUILT_CAPABILITY) : new Code(built, false);
  }

  /// PTX for the jar, which every card and driver takes.
  static byte[] builtPtx(Nvrtc compiler, KernelSource source) {
    int least = KernelSource.leastCapability(source.name());
    int capability = least;
    while (!compiler.knows(capability)) {
      capability++; // later versions of NVRTC have dropped the oldest cards
    }
    byte[] code = compile(compiler, source, "compute_" + capability, List.of()).code();
    String ptx = new String(code, StandardCharsets.UTF_8);
    String version = least == BUILT_CAPABILITY ? BUILT_PTX_VERSION : TENSOR_CORES_PTX_VERSION;
    return (source.ptxMark() + ptx.replaceFirst("\\.version \\S+", version))
        .getBytes(StandardCharsets.UTF_8);
  }

  private byte[] cubin(KernelSource source, int capability) {
    Nvrtc compiler = nvrtc;
    if (compiler == null) {
      throw new DeviceException(
          "cuda: cannot make a cubin of "
              + source.name()
              + ".cu; got no NVRTC; need "
              + CudaProbe.NVRTC_FIX
              + ", or -Dfornax.cuda.code=ptx");
    }
    return cached(compiler, source, "sm_" + capability);
  }

  private byte[] cached(Nvrtc compiler, KernelSource source, String architecture) {
    var file = new KernelFile(CudaCache.folder("kernels"), key(source, architecture));
    try {
      byte[] kept = file.read();
      if (kept != null) {
        return kept;
      }
      byte[] code = compile(compiler, source, architecture, List.of()).code();
      file.write(code);
      return code;
    } catch (IOException e) {
      System.getLogger("fornax.cuda")
          .log(System.Logger.Level.WARNING, "cuda: cannot use the kernel cache " + file, e);
      return compile(compiler, source, architecture, List.of()).code();
    }
  }

  /// Compiles without looking into the cache.
  ///
  /// @throws DeviceException with file, line and log if the source is wrong
  static Nvrtc.Result compile(
      Nvrtc compiler, KernelSource source, String architecture, List<String> moreOptions) {
    List<String> options = new java.util.ArrayList<>(OPTIONS);
    options.add("--gpu-architecture=" + architecture);
    options.addAll(moreOptions);
    Nvrtc.Result result =
        compiler.compile(source.name() + ".cu", source.text(), source.headers(), options);
    if (!result.ok()) {
      throw new DeviceException(
          "cuda: "
              + source.name()
              + ".cu does not compile for "
              + architecture
              + " with NVRTC "
              + compiler.version()
              + "\n"
              + result.log().strip());
    }
    return result;
  }

  // All that the code depends on.
  private String key(KernelSource source, String architecture) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (String part :
          List.of(
              source.text(),
              source.headers().toString(),
              OPTIONS.toString(),
              architecture,
              nvrtcVersion,
              Integer.toString(driverVersion))) {
        digest.update(part.getBytes(StandardCharsets.UTF_8));
        digest.update((byte) 0);
      }
      String hash = HexFormat.of().formatHex(digest.digest(), 0, 16);
      return source.name() + "-" + architecture + "-" + hash;
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }
}
