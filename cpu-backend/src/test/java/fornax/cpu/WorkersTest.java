package fornax.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WorkersTest {
  private static final long LARGE = Long.MAX_VALUE;

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 8})
  void runsEachTaskOnce(int threads) {
    try (var workers = new Workers(threads)) {
      assertEquals(threads, workers.threads());
      for (int tasks = 0; tasks < 300; tasks++) {
        var runs = new AtomicIntegerArray(tasks);
        workers.parallel(LARGE, tasks, runs::incrementAndGet);
        for (int i = 0; i < tasks; i++) {
          assertEquals(1, runs.get(i));
        }
      }
    }
  }

  @Test
  void usesItsThreads() {
    try (var workers = new Workers(2)) {
      var both = new CountDownLatch(2);
      workers.parallel(
          LARGE,
          2,
          i -> {
            both.countDown();
            assertTrue(meets(both), "one thread ran both tasks");
          });
      assertEquals(0, both.getCount());
    }
  }

  private static boolean meets(CountDownLatch latch) {
    try {
      return latch.await(10, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void nestedLoopsRunInline() {
    try (var workers = new Workers(3)) {
      var runs = new AtomicIntegerArray(40);
      workers.parallel(
          LARGE,
          8,
          i -> {
            Thread outer = Thread.currentThread();
            workers.parallel(
                LARGE,
                5,
                j -> {
                  assertSame(outer, Thread.currentThread());
                  runs.incrementAndGet(i * 5 + j);
                });
          });
      for (int i = 0; i < 40; i++) {
        assertEquals(1, runs.get(i));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 8})
  void throwsWhatATaskThrew(int threads) {
    try (var workers = new Workers(threads)) {
      var boom = new IllegalStateException("boom");
      for (int round = 0; round < 50; round++) {
        int bad = round;
        var thrown =
            assertThrows(
                IllegalStateException.class,
                () ->
                    workers.parallel(
                        LARGE,
                        50,
                        i -> {
                          if (i == bad) {
                            throw boom;
                          }
                        }));
        assertSame(boom, thrown);
      }
      var runs = new AtomicIntegerArray(10);
      workers.parallel(LARGE, 10, runs::incrementAndGet);
      for (int i = 0; i < 10; i++) {
        assertEquals(1, runs.get(i));
      }
    }
  }

  @Test
  void servesTwoCallersAtOnce() throws InterruptedException {
    try (var workers = new Workers(3)) {
      var callers = new ArrayList<Thread>();
      var done = new AtomicIntegerArray(2);
      for (int c = 0; c < 2; c++) {
        int caller = c;
        callers.add(
            Thread.ofPlatform()
                .start(
                    () -> {
                      for (int round = 0; round < 2_000; round++) {
                        var runs = new AtomicIntegerArray(7);
                        workers.parallel(LARGE, 7, runs::incrementAndGet);
                        for (int i = 0; i < 7; i++) {
                          if (runs.get(i) == 1) {
                            done.incrementAndGet(caller);
                          }
                        }
                      }
                    }));
      }
      for (Thread thread : callers) {
        thread.join();
      }
      assertEquals(14_000, done.get(0));
      assertEquals(14_000, done.get(1));
    }
  }

  @Test
  void anInterruptedCallerFinishesAndStaysInterrupted() {
    try (var workers = new Workers(2)) {
      var runs = new AtomicIntegerArray(64);
      Thread.currentThread().interrupt();
      workers.parallel(LARGE, 64, runs::incrementAndGet);
      assertTrue(Thread.interrupted());
      for (int i = 0; i < 64; i++) {
        assertEquals(1, runs.get(i));
      }
    }
  }

  @Test
  void runsInlineOnceClosed() {
    var workers = new Workers(2);
    workers.close();
    workers.close();
    var runs = new AtomicIntegerArray(3);
    workers.parallel(
        LARGE,
        3,
        i -> {
          runs.incrementAndGet(i);
        });
    assertEquals(1, runs.get(2));
  }

  @Test
  void rejectsNoThreads() {
    assertThrows(IllegalArgumentException.class, () -> new Workers(0).close());
  }
}
