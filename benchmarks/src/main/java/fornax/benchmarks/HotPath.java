package fornax.benchmarks;

import fornax.backend.Settings;
import fornax.backend.Settings.CpuMatmul;
import java.util.List;
import java.util.stream.Stream;

/// One thing that the guard watches: a benchmark at one size.
record HotPath(Class<? extends OpBenchmark> suite, String method, String size) {
  /// What a training step and text generation spend their time in, and what every operation pays.
  /// Rows fit a core's own cache: how fast a shared one is depends on who else uses it.
  static final List<HotPath> ALL =
      List.of(
          new HotPath(MatmulBenchmark.class, "forward", "384x384x384"),
          new HotPath(MatmulBenchmark.class, "forward", "256x768x3072"),
          new HotPath(MatmulBenchmark.class, "linearGelu", "256x768x3072"),
          new HotPath(MatmulBenchmark.class, "inputGradient", "256x768x3072"),
          new HotPath(MatmulBenchmark.class, "weightGradient", "256x768x3072"),
          new HotPath(AttentionBenchmark.class, "forward", "4x6x256x64"),
          new HotPath(AttentionBenchmark.class, "backward", "4x6x256x64"),
          new HotPath(SoftmaxBenchmark.class, "forward", "256x256"),
          new HotPath(LayerNormBenchmark.class, "forward", "256x384"),
          new HotPath(LayerNormBenchmark.class, "backward", "256x384"),
          new HotPath(GeluBenchmark.class, "forward", "64x768"),
          new HotPath(GeluBenchmark.class, "backward", "64x768"),
          new HotPath(CrossEntropyBenchmark.class, "forward", "64x50257"),
          new HotPath(CrossEntropyBenchmark.class, "backward", "64x50257"),
          new HotPath(AdamWBenchmark.class, "step", "4000000"),
          new HotPath(DispatchBenchmark.class, "add", "32"),
          new HotPath(DispatchBenchmark.class, "addWithGradient", "32"),
          new HotPath(TokenizeBenchmark.class, "encode", "gpt2-100000"),
          new HotPath(TrainingStepBenchmark.class, "step", "nano"),
          new HotPath(GenerationBenchmark.class, "token", "nano"));

  /// Further paths of oneDNN's BF16 products.
  static final List<HotPath> ONEDNN =
      List.of(
          new HotPath(MatmulBf16Benchmark.class, "forward", "256x768x3072"),
          new HotPath(MatmulBf16Benchmark.class, "linearGelu", "256x768x3072"),
          new HotPath(MatmulBf16Benchmark.class, "weightGradient", "256x768x3072"));

  /// What the guard watches: with `--matmul onednn` that too.
  static List<HotPath> watched() {
    return Settings.cpuMatmul() == CpuMatmul.ONEDNN
        ? Stream.concat(ALL.stream(), ONEDNN.stream()).toList()
        : ALL;
  }

  /// As the baseline and messages call it: `matmul.forward 384x384x384`.
  String name() {
    return Row.opOf(suite.getName() + "." + method) + " " + size;
  }

  /// Makes it ready to run.
  Subject open() {
    return Subjects.open(suite, method, size);
  }
}
