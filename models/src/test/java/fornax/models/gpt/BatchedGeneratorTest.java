package fornax.models.gpt;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.models.Devices;
import fornax.nn.Weights;
import fornax.tensor.Scope;
import fornax.tensor.Tensors;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class BatchedGeneratorTest {
  private static final int CONTEXT = 16;
  private static final GptConfig CONFIG = new GptConfig(23, CONTEXT, 2, 2, 16, 0);

  private Backend backend;
  private Gpt gpt;
  private long before;

  @BeforeEach
  void open() {
    backend = Devices.open("cpu");
    gpt = new Gpt(CONFIG, Weights.on(backend, 5));
    gpt.eval();
    before = backend.memory().stats().live();
  }

  @AfterEach
  void close() {
    gpt.close();
    backend.close();
  }

  /// Keeps what a request's samples get.
  private static class Kept implements BatchedGenerator.Sink {
    final List<List<Integer>> tokens = new ArrayList<>();
    final CountDownLatch ended;
    volatile @Nullable Throwable failure;
    volatile int most = Integer.MAX_VALUE; // tokens of a sample

    Kept(int samples) {
      for (int i = 0; i < samples; i++) {
        tokens.add(new ArrayList<>());
      }
      ended = new CountDownLatch(samples);
    }

    @Override
    public boolean next(int sample, int token) {
      tokens.get(sample).add(token);
      return tokens.get(sample).size() < most;
    }

    @Override
    public void ended(int sample) {
      ended.countDown();
    }

    @Override
    public void failed(int sample, Throwable cause) {
      failure = cause;
      ended.countDown();
    }

    int[] of(int sample) throws InterruptedException {
      assertTrue(ended.await(30, TimeUnit.SECONDS));
      return tokens.get(sample).stream().mapToInt(Integer::intValue).toArray();
    }
  }

  private static int[] prompt(int length) {
    int[] prompt = new int[length];
    Arrays.setAll(prompt, i -> (7 * i + 3 * length) % 23);
    return prompt;
  }

  private interface Work {
    void with(BatchedGenerator generator) throws InterruptedException;
  }

  private void running(int parallel, Work work) throws InterruptedException {
    var generator = new BatchedGenerator(gpt, parallel);
    Thread thread = Thread.ofPlatform().start(generator::run);
    try {
      work.with(generator);
    } finally {
      generator.close();
      thread.join();
    }
    assertEquals(before, backend.memory().stats().live());
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3, 20})
  void sequences_areWrittenAsEachAlone(int parallel) throws InterruptedException {
    running(
        parallel,
        generator -> {
          List<Kept> all = new ArrayList<>();
          for (int i = 0; i < 12; i++) {
            var kept = new Kept(1);
            all.add(kept);
            generator.submit(prompt(1 + i), CONTEXT - i, List.of(sampling(i)), kept);
          }
          for (int i = 0; i < all.size(); i++) {
            assertArrayEquals(
                new TextGenerator(gpt).generate(prompt(1 + i), CONTEXT - i, sampling(i)),
                all.get(i).of(0),
                "sequence " + i);
          }
        });
  }

  private static Sampling sampling(int i) {
    return i % 2 == 0 ? Sampling.GREEDY : new Sampling(0.9, 7, 0.95, i, 1.1);
  }

  @Test
  void samplesOfOnePrompt_areWrittenAsEachAlone() throws InterruptedException {
    List<Sampling> samplings = List.of(sampling(1), sampling(3), Sampling.GREEDY, sampling(5));
    running(
        2,
        generator -> {
          var kept = new Kept(4);
          generator.submit(prompt(5), 9, samplings, kept);
          for (int i = 0; i < 4; i++) {
            assertArrayEquals(
                new TextGenerator(gpt).generate(prompt(5), 9, samplings.get(i)), kept.of(i));
          }
        });
  }

  @ParameterizedTest
  @ValueSource(ints = {3, CONTEXT, CONTEXT + 5})
  void textBeyondTheContext_isAsTheGenerators(int promptLength) throws InterruptedException {
    int count = 3 * CONTEXT;
    List<Sampling> samplings = List.of(Sampling.GREEDY, sampling(1), sampling(3));
    running(
        2,
        generator -> {
          var kept = new Kept(3);
          generator.submit(prompt(promptLength), count, samplings, kept);
          for (int i = 0; i < 3; i++) {
            assertArrayEquals(
                new TextGenerator(gpt).generate(prompt(promptLength), count, samplings.get(i)),
                kept.of(i));
          }
        });
  }

  @Test
  void cancelAndFalse_endASequence() throws InterruptedException {
    running(
        4,
        generator -> {
          var endless = new Kept(1);
          var request =
              generator.submit(prompt(2), Integer.MAX_VALUE, List.of(sampling(1)), endless);
          var few = new Kept(2);
          few.most = 3;
          generator.submit(prompt(2), 1000, List.of(sampling(1), sampling(3)), few);
          assertEquals(3, few.of(0).length);
          assertEquals(3, few.of(1).length);
          assertEquals(1, endless.ended.getCount());
          request.cancel();
          assertTrue(endless.of(0).length > 0);
          assertEquals(null, endless.failure);
        });
  }

  @Test
  void faultOfOne_leavesTheOthers() throws InterruptedException {
    running(
        4,
        generator -> {
          var broken =
              new Kept(1) {
                @Override
                public boolean next(int sample, int token) {
                  throw new IllegalStateException("no");
                }
              };
          var good = new Kept(1);
          generator.submit(prompt(2), 10, List.of(sampling(1)), broken);
          generator.submit(prompt(3), 10, List.of(Sampling.GREEDY), good);
          assertTrue(broken.ended.await(30, TimeUnit.SECONDS));
          assertInstanceOf(IllegalStateException.class, broken.failure);
          assertEquals(10, good.of(0).length);
        });
  }

  @Test
  void close_endsAllAndRefusesMore() throws InterruptedException {
    var active = new Kept(1);
    var waiting = new Kept(1);
    running(
        1,
        generator -> {
          generator.submit(prompt(2), Integer.MAX_VALUE, List.of(sampling(1)), active);
          generator.submit(prompt(2), 5, List.of(sampling(1)), waiting);
          generator.close();
          assertTrue(active.ended.await(30, TimeUnit.SECONDS));
          assertTrue(waiting.ended.await(30, TimeUnit.SECONDS));
          assertInstanceOf(CancellationException.class, active.failure);
          assertInstanceOf(CancellationException.class, waiting.failure);
          assertThrows(
              CancellationException.class,
              () -> generator.submit(prompt(2), 5, List.of(sampling(1)), new Kept(1)));
        });
  }

  @Test
  void badRequests_areRefused() {
    try (var generator = new BatchedGenerator(gpt, 1)) {
      for (int[] bad : new int[][] {{}, {-1}, {23}}) {
        assertThrows(
            IllegalArgumentException.class,
            () -> generator.submit(bad, 5, List.of(Sampling.GREEDY), new Kept(1)));
      }
      assertThrows(
          IllegalArgumentException.class,
          () -> generator.submit(prompt(1), 0, List.of(Sampling.GREEDY), new Kept(1)));
      assertThrows(
          IllegalArgumentException.class,
          () -> generator.submit(prompt(1), 1, List.of(), new Kept(1)));
    }
    gpt.train();
    assertThrows(IllegalArgumentException.class, () -> new BatchedGenerator(gpt, 1));
  }

  @ParameterizedTest
  @MethodSource("fornax.models.Devices#names")
  void joinedCaches_giveEachSequenceItsLogits(String device) {
    try (var other = Devices.open(device);
        var model = new Gpt(CONFIG, Weights.on(other, 7))) {
      model.eval();
      int[] lengths = {3, 1, 9};
      int[] last = {4, 5, 6};
      List<GptCache> caches = new ArrayList<>();
      try (var _ = Scope.open()) {
        float[][] want = new float[3][];
        for (int i = 0; i < 3; i++) {
          var cache = new GptCache(model, 1, lengths[i] + 1);
          caches.add(cache);
          var start = Tensors.on(other).of(prompt(lengths[i]), Shape.of(1, lengths[i]));
          assertFalse(model.nextLogits(start, cache).requiresGrad());
          int[] whole = Arrays.copyOf(prompt(lengths[i]), lengths[i] + 1);
          whole[lengths[i]] = last[i];
          want[i] =
              model
                  .nextLogits(Tensors.on(other).of(whole, Shape.of(1, whole.length)))
                  .toFloatArray();
        }
        float[] all =
            model
                .nextLogits(Tensors.on(other).of(last, Shape.of(3, 1)), GptCache.joined(caches))
                .toFloatArray();
        for (int i = 0; i < 3; i++) {
          assertArrayEquals(want[i], Arrays.copyOfRange(all, 23 * i, 23 * (i + 1)), 2e-5f);
          assertEquals(lengths[i] + 1, caches.get(i).length());
        }
      } finally {
        caches.forEach(GptCache::close);
      }
    }
  }
}
