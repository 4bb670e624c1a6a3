package fornax.benchmarks;

import fornax.backend.AdamWFactors;
import fornax.backend.AdamWSlot;
import fornax.backend.NdArray;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;

/// AdamW over one parameter of `size` elements: four arrays read, three written.
@SuppressWarnings("NullAway.Init") // by prepare()
public class AdamWBenchmark extends OpBenchmark {
  private static final int MOVED = 7;
  private static final int ARRAYS = 4;

  @Param({"100000", "4000000", "40000000"})
  public String size;

  private List<AdamWSlot> slots;
  private NdArray factors;
  private NdArray scale;

  @Override
  void prepare() {
    long elements = Long.parseLong(size);
    slots =
        List.of(new AdamWSlot(zeros(elements), normal(elements), zeros(elements), zeros(elements)));
    factors = empty(AdamWFactors.COUNT);
    float[] numbers = AdamWFactors.of(3e-4, 0.9, 0.999, 1e-8, 0.1, 1000);
    backend().upload(MemorySegment.ofArray(numbers), factors);
    scale = empty();
    backend().fill(scale, 1);
  }

  @Benchmark
  public void step() {
    backend().adamW(slots, factors, scale);
    done();
  }

  @Override
  Work work(String method) {
    long elements = Long.parseLong(size);
    return new Work(0, bytes(MOVED, elements), (long) bytes(ARRAYS, elements), Work.Unit.BYTES);
  }
}
