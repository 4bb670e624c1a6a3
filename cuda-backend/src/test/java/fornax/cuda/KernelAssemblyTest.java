package fornax.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Assembles every kernel for every architecture with NVRTC, which needs no card, and prints what
/// the assembler says of it: registers, spills, shared memory, and the occupancy that follows.
class KernelAssemblyTest {
  private static final Pattern ENTRY = Pattern.compile("entry function '(\\w+)'");
  private static final Pattern SPILLS =
      Pattern.compile("(\\d+) bytes stack frame, (\\d+) bytes spill stores");
  private static final Pattern USED = Pattern.compile("Used (\\d+) registers(.*)");
  private static final Pattern SHARED = Pattern.compile("(\\d+) bytes smem");

  /// Kernels that the host launches from capability 8.0 on, though their file is for earlier cards
  /// too.
  private static final Pattern LATER = Pattern.compile(".*_mma_f16_128(x128_..)?");

  /// Kernels have blocks of 256 threads, most of those for tensor cores of 128.
  private static int warps(String kernel) {
    return kernel.matches(".*_(mma|tf32)_.*") && !kernel.contains("128x128") ? 4 : 8;
  }

  // Shared memory that the host gives beside what the kernel names.
  private static int givenShared(String kernel) {
    for (var factors : TensorMatmul.Factors.ALL) {
      for (var tile : TensorMatmul.TILES) {
        if (kernel.startsWith(factors.prefix() + tile.name() + "_")) {
          String form = kernel.substring(kernel.length() - 2);
          return factors.shared(tile, form.charAt(0) == 'n', form.charAt(1) == 'n');
        }
      }
    }
    if (!kernel.matches("attention_.*mma_.*")) {
      return 0;
    }
    var split =
        Attention.Split.ofTensorCores(
            Integer.parseInt(kernel.substring(kernel.lastIndexOf('_') + 1)));
    return kernel.contains("_q_")
        ? split.sharedForQ()
        : kernel.contains("_kv_") ? split.sharedForKv() : split.shared();
  }

  /// Kernels that may keep something in local memory: those off the path of a training step.
  private static final Set<String> COLD =
      Set.of(
          "unary_strided",
          "unary_sin_f32",
          "unary_cos_f32",
          "unary_sin_bf16",
          "unary_cos_bf16",
          "unary_sin_f16",
          "unary_cos_f16");

  /// What the assembler says of one kernel.
  private record Use(String kernel, int registers, int spilled, int shared) {
    /// Resident warps of a multiprocessor, as a part of the most it can hold. Sources of the
    /// limits: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
    double occupancy(int capability) {
      int maxWarps = capability == 75 ? 32 : capability >= 120 ? 48 : 64;
      int maxBlocks = capability == 75 ? 16 : capability >= 120 ? 24 : 32;
      int sharedBytes =
          switch (capability) {
            case 70 -> 96;
            case 75 -> 64;
            case 80 -> 164;
            case 120 -> 100;
            default -> 228;
          };
      int perWarp = (registers * 32 + 255) / 256 * 256;
      int blocks = Math.min(maxBlocks, Math.min(maxWarps, 65536 / perWarp) / warps(kernel));
      int perBlock = shared + (capability >= 80 ? 1024 : 0);
      if (perBlock > 0) {
        blocks = Math.min(blocks, sharedBytes * 1024 / perBlock);
      }
      return (double) blocks * warps(kernel) / maxWarps;
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {75, 80})
  void everyKernel_assemblesWithoutSpills(int capability) {
    assembles(capability);
  }

  @Tag("slow")
  @ParameterizedTest
  @ValueSource(ints = {70, 90, 100, 120})
  void everyKernel_assemblesWithoutSpillsOnOtherCards(int capability) {
    assembles(capability);
  }

  private static void assembles(int capability) {
    Nvrtc nvrtc = Requirement.nvrtc();
    if (!nvrtc.knows(capability)) {
      org.junit.jupiter.api.Assumptions.abort(
          "NVRTC " + nvrtc.version() + " does not know sm_" + capability);
    }
    List<Use> uses =
        KernelSource.NAMES.parallelStream()
            .filter(name -> KernelSource.leastCapability(name) <= capability)
            .flatMap(name -> assemble(nvrtc, name, capability).stream())
            .filter(use -> capability >= 80 || !LATER.matcher(use.kernel()).matches())
            .toList();
    System.out.printf(
        Locale.ROOT, "sm_%d, NVRTC %s: %d kernels%n", capability, nvrtc.version(), uses.size());
    for (Use use : uses) {
      System.out.printf(
          Locale.ROOT,
          "  %-44s %3d registers %4d spilled %6d shared %3.0f %% occupancy%n",
          use.kernel(),
          use.registers(),
          use.spilled(),
          use.shared(),
          100 * use.occupancy(capability));
    }
    assertTrue(uses.size() > 150, () -> "kernels found: " + uses.size());
    assertEquals(
        List.of(),
        uses.stream().filter(use -> use.spilled() > 0 && !COLD.contains(use.kernel())).toList());
    for (Use use : uses) {
      assertTrue(use.occupancy(capability) > 0, () -> use + " does not fit");
    }
  }

  private static List<Use> assemble(Nvrtc nvrtc, String name, int capability) {
    String log =
        CudaCompiler.compile(
                nvrtc, KernelSource.load(name), "sm_" + capability, List.of("--ptxas-options=-v"))
            .log();
    List<Use> uses = new ArrayList<>();
    String kernel = "";
    int spilled = 0;
    for (String line : log.lines().toList()) {
      Matcher entry = ENTRY.matcher(line);
      Matcher spills = SPILLS.matcher(line);
      Matcher used = USED.matcher(line);
      if (entry.find()) {
        kernel = entry.group(1);
      } else if (spills.find()) {
        spilled = Integer.parseInt(spills.group(2));
      } else if (used.find()) {
        Matcher shared = SHARED.matcher(used.group(2));
        uses.add(
            new Use(
                kernel,
                Integer.parseInt(used.group(1)),
                spilled,
                (shared.find() ? Integer.parseInt(shared.group(1)) : 0) + givenShared(kernel)));
      }
    }
    assertFalse(uses.isEmpty(), () -> name + ".cu: no kernel in the assembler's log\n" + log);
    return uses;
  }

  @Test
  void names_areThoseOfTheFolder() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/main/cuda"))) {
      Set<String> found =
          files
              .map(file -> file.getFileName().toString())
              .filter(file -> file.endsWith(".cu"))
              .map(file -> file.substring(0, file.length() - 3))
              .collect(Collectors.toCollection(TreeSet::new));
      assertEquals(found, new TreeSet<>(KernelSource.NAMES));
    }
  }
}
