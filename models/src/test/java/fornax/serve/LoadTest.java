package fornax.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.http.HttpClient;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/// Fifty clients at a time: no error, and no memory kept.
class LoadTest {
  private static final int CLIENTS = 50;
  private static final long MEBIBYTE = 1 << 20;

  @Test
  @Timeout(60)
  void fiftyClients_forSeconds() throws IOException, InterruptedException {
    run(4);
  }

  @Test
  @Tag("slow")
  @Timeout(180)
  void fiftyClients_forAMinute() throws IOException, InterruptedException {
    run(60);
  }

  private static void run(int seconds) throws IOException, InterruptedException {
    try (var served = new Served(ServerOptions.DEFAULT)) {
      var _ = round(served, 1); // what is made once
      long device = served.backend.memory().stats().live();
      long heap = heap();
      AtomicLong[] done = round(served, seconds);
      served.awaitIdle();
      assertEquals(device, served.backend.memory().stats().live());
      long grown = heap() - heap;
      System.out.printf(
          "%d clients, %d s: %d completions, %d tokens, heap %+.1f MiB%n",
          CLIENTS, seconds, done[0].get(), done[1].get(), (double) grown / MEBIBYTE);
      assertTrue(done[0].get() >= CLIENTS, () -> done[0] + " completions");
      assertTrue(grown < 16 * MEBIBYTE, () -> "heap grew by " + grown);
    }
  }

  private static long heap() {
    System.gc();
    return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
  }

  private static AtomicLong[] round(Served served, int seconds) throws InterruptedException {
    long end = System.nanoTime() + seconds * 1_000_000_000L;
    AtomicLong[] done = {new AtomicLong(), new AtomicLong()};
    Queue<Throwable> errors = new ConcurrentLinkedQueue<>();
    List<Thread> clients = new ArrayList<>();
    try (var http = HttpClient.newHttpClient()) {
      for (int i = 0; i < CLIENTS; i++) {
        int number = i;
        clients.add(
            Thread.startVirtualThread(
                () -> {
                  try {
                    while (System.nanoTime() < end) {
                      done[1].addAndGet(ask(http, served, number));
                      done[0].incrementAndGet();
                    }
                  } catch (Throwable e) {
                    errors.add(e);
                  }
                }));
      }
      for (Thread client : clients) {
        client.join();
      }
    }
    assertTrue(errors.isEmpty(), () -> errors.size() + " errors, first " + errors.peek());
    return done;
  }

  // Returns the number of tokens.
  private static int ask(HttpClient http, Served served, int number)
      throws IOException, InterruptedException {
    boolean stream = number % 2 == 0;
    int tokens = 5 + number;
    HttpResponse<String> response =
        http.send(
            served.completion(
                "{\"prompt\":\"abc\",\"stream\":"
                    + stream
                    + ",\"max_tokens\":"
                    + tokens
                    + ",\"top_p\":0.9}"),
            BodyHandlers.ofString());
    if (response.statusCode() != 200) {
      throw new IOException(response.statusCode() + " " + response.body());
    }
    if (stream) {
      if (!response.body().endsWith("data: [DONE]\n\n")) {
        throw new IOException("no end: " + response.body());
      }
    } else {
      JsonNode json = Served.JSON.readTree(response.body());
      if (json.path("usage").path("completion_tokens").asInt() != tokens) {
        throw new IOException("short: " + response.body());
      }
    }
    return tokens;
  }
}
