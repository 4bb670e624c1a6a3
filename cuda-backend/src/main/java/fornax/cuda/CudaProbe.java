package fornax.cuda;

import fornax.backend.DeviceException;
import fornax.backend.DeviceInfo;
import fornax.cuda.CudaLibraries.Library;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;

/// Looks once for everything the backend needs, and explains what is missing and what to do.
final class CudaProbe {
  static final String NVRTC_FIX =
      "install a CUDA toolkit (apt install nvidia-cuda-toolkit), or pip install"
          + " nvidia-cuda-nvrtc-cu12, or build with Maven profile cuda-redist";

  private static final String DRIVER_FIX =
      "install NVIDIA's driver (Ubuntu: ubuntu-drivers install; in a container: run it with --gpus"
          + " all and NVIDIA's container toolkit; in WSL 2: the Windows driver)";

  private static @Nullable CudaProbe instance;

  final Library driver;
  final Library nvrtcLibrary;
  final Library cublasLibrary;
  final @Nullable Nvrtc nvrtc;
  private final String problem;
  private final String fix;
  private final int version;
  private final List<Card> cards = new ArrayList<>();

  /// A card, as the driver describes it.
  ///
  /// @param capability such as 90
  /// @param freeBytes −1 where the card's memory could not be asked
  record Card(int index, String name, int capability, long freeBytes, long totalBytes) {}

  /// What was found, looked for at the first call.
  static synchronized CudaProbe get() {
    CudaProbe probe = instance;
    if (probe == null) {
      probe = new CudaProbe();
      instance = probe;
    }
    return probe;
  }

  private CudaProbe() {
    driver = CudaLibraries.driver();
    nvrtcLibrary = CudaLibraries.nvrtc();
    cublasLibrary = CudaLibraries.cublas();
    nvrtc = nvrtcLibrary.symbols() == null ? null : new Nvrtc(nvrtcLibrary.symbols());
    String trouble = "";
    String remedy = "";
    int driverVersion = 0;
    if (!driver.found()) {
      trouble = "no NVIDIA driver: libcuda.so.1 was not found";
      remedy = DRIVER_FIX;
    } else {
      try {
        if (CudaDriver.STATUS != CUresult.CUDA_SUCCESS) {
          trouble = "the NVIDIA driver does not start: " + CudaDriver.describe(CudaDriver.STATUS);
          remedy = "nvidia-smi shows the driver's state; after a driver update, restart";
        } else {
          driverVersion = CudaDriver.version();
          addCards();
          if (cards.isEmpty()) {
            trouble = "the NVIDIA driver sees no card";
            remedy = "check CUDA_VISIBLE_DEVICES, and nvidia-smi";
          }
        }
      } catch (LinkageError | RuntimeException e) {
        trouble = "the NVIDIA driver cannot be used: " + firstLine(e);
        remedy = "nvidia-smi shows the driver's state";
      }
    }
    if (trouble.isEmpty() && nvrtc == null && KernelSource.load("fill").builtPtx() == null) {
      trouble = "no kernel compiler: libnvrtc.so.12 was not found";
      remedy = NVRTC_FIX;
    }
    problem = trouble;
    fix = remedy;
    version = driverVersion;
  }

  private void addCards() {
    for (int i = 0; i < CudaDriver.devices(); i++) {
      CUdevice device = CudaDriver.device(i);
      long[] free = {-1};
      long[] total = {-1};
      CUcontext context = new CUcontext();
      if (JCudaDriver.cuDevicePrimaryCtxRetain(context, device) == CUresult.CUDA_SUCCESS) {
        if (JCudaDriver.cuCtxSetCurrent(context) == CUresult.CUDA_SUCCESS
            && JCudaDriver.cuMemGetInfo(free, total) != CUresult.CUDA_SUCCESS) {
          free[0] = -1;
        }
        int _ = JCudaDriver.cuDevicePrimaryCtxRelease(device);
      }
      cards.add(
          new Card(i, CudaDriver.name(device), CudaDriver.capability(device), free[0], total[0]));
    }
  }

  /// Whether a device can be opened.
  boolean usable() {
    return problem.isEmpty();
  }

  /// As `cuDriverGetVersion` gives it; 0 where there is no driver.
  int driverVersion() {
    return version;
  }

  /// Why no device can be opened and what to do, as an error.
  DeviceException refusal() {
    return new DeviceException("cuda: not available; got " + problem + "; need: " + fix);
  }

  /// The cards, or one entry that says why there is none.
  List<DeviceInfo> devices() {
    if (!usable()) {
      return List.of(DeviceInfo.missing("cuda", "cuda", problem, fix));
    }
    List<DeviceInfo> infos = new ArrayList<>();
    for (Card card : cards) {
      String id = "cuda:" + card.index();
      infos.add(
          card.capability() < CudaCompiler.BUILT_CAPABILITY
              ? DeviceInfo.missing(
                  "cuda",
                  id,
                  card.name()
                      + " has compute capability "
                      + dotted(card.capability())
                      + ", too old",
                  "need a card of compute capability 7.0 (Volta, 2017) or later")
              : DeviceInfo.available("cuda", id, describe(card)));
    }
    return infos;
  }

  private static String describe(Card card) {
    return card.name()
        + ", compute capability "
        + dotted(card.capability())
        + (card.freeBytes() < 0
            ? ""
            : String.format(
                Locale.ROOT,
                ", %.1f of %.1f GiB free",
                card.freeBytes() / 0x1p30,
                card.totalBytes() / 0x1p30));
  }

  /// Everything that was looked for, where, and what was found.
  String report() {
    StringBuilder text = new StringBuilder();
    text.append("driver   ").append(driver);
    if (version != 0) {
      text.append(", for CUDA ").append(version / 1000).append('.').append(version % 1000 / 10);
    }
    text.append(System.lineSeparator()).append("compiler ").append(nvrtcLibrary);
    Nvrtc compiler = nvrtc;
    if (compiler != null) {
      text.append(", version ").append(compiler.version());
    } else if (KernelSource.load("fill").builtPtx() != null) {
      text.append("; the PTX in the jar is used");
    }
    text.append(System.lineSeparator()).append("matmul   ").append(cublasLibrary);
    if (!cublasLibrary.found()) {
      text.append(
          "; the backend's own matmul is used, which is slower: pip install nvidia-cublas-cu12");
    }
    for (Card card : cards) {
      text.append(System.lineSeparator())
          .append("card     cuda:")
          .append(card.index())
          .append(": ")
          .append(describe(card));
    }
    if (!problem.isEmpty()) {
      text.append(System.lineSeparator())
          .append("problem  ")
          .append(problem)
          .append(System.lineSeparator())
          .append("fix      ")
          .append(fix);
    }
    return text.toString();
  }

  private static String dotted(int capability) {
    return capability / 10 + "." + capability % 10;
  }

  private static String firstLine(Throwable e) {
    String text = String.valueOf(e.getMessage() == null ? e : e.getMessage());
    return text.lines().findFirst().orElse(e.toString());
  }
}
