package fornax.benchmarks;

import fornax.array.DType;

/// The products of [MatmulBenchmark] in BF16; on the CPU by what `--matmul` says. The limit is that
/// of F32 arithmetic, which the processor's BF16 instructions pass.
public class MatmulBf16Benchmark extends MatmulBenchmark {
  @Override
  DType type() {
    return DType.BF16;
  }
}
