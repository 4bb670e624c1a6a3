package fornax.testkit;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.google.errorprone.annotations.CanIgnoreReturnValue;
import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// An attack on a reader of files: it may take an input or refuse it with an error of its own, and
/// nothing else. Any other exception or error, more than a second of the processor's time, and more
/// memory than [#allocating] allows fail, with the input in `target/fuzz`.
///
/// [#run] makes inputs from the seeds by chance, the same ones in every run; what was refused for a
/// reason not met before is changed further. A class with such a test is also a target of Jazzer
/// (`fuzzerTestOneInput`), which is guided by the branches taken.
public final class Fuzz {
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
  private static final Pattern NAMES = Pattern.compile("\"[^\"]*\"|[0-9]+");
  private static final long MOST_NANOS = 1_000_000_000L;
  private static final long HANG_NANOS = 20 * MOST_NANOS;
  private static final int DEFAULT_INPUTS = 4000;
  private static final int MOST_KEPT = 2000;
  private static final int MOST_MESSAGE = 4000;

  /// Reads an input as a user's file would be read, and uses what it holds.
  @FunctionalInterface
  public interface Reader {
    /// Throws an error of the reader's own where it refuses `input`.
    void read(byte[] input) throws Exception;
  }

  private final String name;
  private final Reader reader;
  private final List<byte[]> seeds = new ArrayList<>();
  private final List<String> words = new ArrayList<>();
  private final List<Class<? extends Exception>> errors = new ArrayList<>();
  private long baseBytes = 1 << 20;
  private long bytesPerByte = 64;
  private volatile byte[] current = {};
  private volatile long began;
  private long worstNanos;
  private double worstShare; // of the memory allowed

  private Fuzz(String name, Reader reader) {
    this.name = name;
    this.reader = reader;
    errors.add(IOException.class);
  }

  /// An attack on `reader`, which refuses with an [IOException].
  public static Fuzz of(String name, Reader reader) {
    return new Fuzz(name, reader);
  }

  /// Adds an input to start from.
  public Fuzz seed(byte[] input) {
    seeds.add(input.clone());
    return this;
  }

  /// Adds a text to start from.
  public Fuzz seed(String text) {
    return seed(text.getBytes(UTF_8));
  }

  /// Adds inputs to start from.
  public Fuzz seeds(List<byte[]> inputs) {
    seeds.addAll(inputs);
    return this;
  }

  /// Adds words that mean something in this format.
  public Fuzz words(String... more) {
    words.addAll(List.of(more));
    return this;
  }

  /// Adds an error that the reader may refuse with.
  public Fuzz refusing(Class<? extends Exception> error) {
    errors.add(error);
    return this;
  }

  /// Sets the most memory of the heap that an input of `n` bytes may cost: `base + perByte × n`.
  public Fuzz allocating(long base, long perByte) {
    baseBytes = base;
    bytesPerByte = perByte;
    return this;
  }

  /// The inputs to start from.
  public List<byte[]> seeds() {
    return List.copyOf(seeds);
  }

  /// Reads one input.
  ///
  /// @return the error it was refused with; null if it was taken
  /// @throws AssertionError if the reader did what it must not
  @CanIgnoreReturnValue
  public @Nullable Exception check(byte[] input) {
    Cost first = cost(input);
    if (first.nanos() <= MOST_NANOS && first.bytes() <= allowed(input)) {
      worstNanos = Math.max(worstNanos, first.nanos());
      worstShare = Math.max(worstShare, (double) first.bytes() / allowed(input));
      return first.refusal();
    }
    Cost again = cost(input); // with every class loaded
    if (again.nanos() > MOST_NANOS) {
      throw fault(input, again.nanos() / 1_000_000 + " ms of the processor", again.refusal());
    }
    if (again.bytes() > allowed(input)) {
      throw fault(
          input,
          again.bytes() + " bytes of heap where " + allowed(input) + " are allowed",
          again.refusal());
    }
    return again.refusal();
  }

  /// What an input took.
  private record Cost(@Nullable Exception refusal, long nanos, long bytes) {}

  private long allowed(byte[] input) {
    return baseBytes + bytesPerByte * input.length;
  }

  private Cost cost(byte[] input) {
    current = input;
    long bytes = THREADS.getCurrentThreadAllocatedBytes();
    long nanos = THREADS.getCurrentThreadCpuTime();
    began = System.nanoTime();
    Exception refusal = null;
    try {
      reader.read(input.clone());
    } catch (Exception e) {
      refusal = e;
      if (errors.stream().noneMatch(type -> type.isInstance(e))) {
        throw fault(input, "an error that is not the reader's own", e);
      }
      String message = e.getMessage();
      if (message == null || message.isBlank() || message.length() > MOST_MESSAGE) {
        throw fault(input, "an error without a message, or with one too long", e);
      }
    } catch (Throwable e) {
      throw fault(input, e.getClass().getName(), e);
    } finally {
      began = 0;
    }
    return new Cost(
        refusal,
        THREADS.getCurrentThreadCpuTime() - nanos,
        THREADS.getCurrentThreadAllocatedBytes() - bytes);
  }

  /// Reads the seeds, and then `-Dfornax.fuzz.inputs` others (4,000 where that is not set), made by
  /// chance from `-Dfornax.fuzz.seed`, but for at most `-Dfornax.fuzz.seconds`; prints what it came
  /// to.
  ///
  /// @throws AssertionError at the first fault
  public void run() {
    long most = Long.getLong("fornax.fuzz.seconds", Long.MAX_VALUE / 1_000_000_000L);
    int inputs = Integer.getInteger("fornax.fuzz.inputs", DEFAULT_INPUTS);
    var mutator = new Mutator(Long.getLong("fornax.fuzz.seed", 42), words);
    List<byte[]> corpus = new ArrayList<>(seeds);
    Set<String> reasons = new HashSet<>();
    int taken = 0;
    for (byte[] seed : seeds) {
      Exception refusal = check(seed);
      if (refusal != null) {
        throw fault(seed, "a seed that is refused", refusal);
      }
    }
    watch();
    long start = System.nanoTime();
    int made = 0;
    while (made < inputs
        && (made % 256 != 0 || System.nanoTime() - start < most * 1_000_000_000L)) {
      made++;
      byte[] input = mutator.next(corpus, seeds.size());
      Exception refusal = check(input);
      if (refusal == null) {
        taken++;
      } else if (reasons.add(reason(refusal)) && corpus.size() < MOST_KEPT) {
        corpus.add(input);
      }
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    System.out.printf(
        Locale.ROOT,
        "fuzz: %-16s %,10d inputs, %,7.0f/s; %4.1f %% taken, refused for %d reasons; at most %.0f"
            + " ms and %.0f %% of the memory allowed%n",
        name,
        made,
        made / seconds,
        100.0 * taken / made,
        reasons.size(),
        worstNanos / 1e6,
        100 * worstShare);
  }

  /// `run CLASS` is [#run] of the class's `static Fuzz FUZZ`, and `seeds CLASS FOLDER` writes its
  /// seeds, for Jazzer.
  public static void main(String[] args) throws ReflectiveOperationException, IOException {
    var field = Class.forName(args[1]).getDeclaredField("FUZZ");
    field.setAccessible(true);
    var fuzz = (Fuzz) field.get(null);
    if (args[0].equals("run")) {
      fuzz.run();
      return;
    }
    Path folder = Files.createDirectories(Path.of(args[2]));
    for (int i = 0; i < fuzz.seeds().size(); i++) {
      Path _ = Files.write(folder.resolve("seed-" + i), fuzz.seeds().get(i));
    }
  }

  /// Why the reader gave up: the places in our code that it came by, and what it said but for names
  /// and numbers.
  private static String reason(Exception refusal) {
    var places = new StringBuilder(refusal.getClass().getName());
    int left = 4;
    for (StackTraceElement frame : refusal.getStackTrace()) {
      if (frame.getClassName().startsWith("fornax.") && left-- > 0) {
        places.append(' ').append(frame.getFileName()).append(frame.getLineNumber());
      }
    }
    String said = NAMES.matcher(String.valueOf(refusal.getMessage())).replaceAll("");
    return places.append(said, 0, Math.min(200, said.length())).toString();
  }

  private AssertionError fault(byte[] input, String what, @Nullable Throwable cause) {
    Path kept = keep(input);
    String start = HexFormat.of().formatHex(input, 0, Math.min(200, input.length));
    return new AssertionError(
        name + ": " + what + "; got " + input.length + " bytes, in " + kept + ": " + start, cause);
  }

  private Path keep(byte[] input) {
    try {
      Path folder = Files.createDirectories(Path.of("target", "fuzz"));
      return Files.write(folder.resolve(name + ".bin"), input);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /// Ends the program, loudly, where an input takes for ever: nothing else can.
  private void watch() {
    Thread reading = Thread.currentThread();
    Thread watch =
        new Thread(
            () -> {
              while (reading.isAlive()) {
                long since = began;
                if (since != 0 && System.nanoTime() - since > HANG_NANOS && since == began) {
                  System.err.println("fuzz: " + name + " hangs; its input is in " + keep(current));
                  for (StackTraceElement frame : reading.getStackTrace()) {
                    System.err.println("  at " + frame);
                  }
                  Runtime.getRuntime().halt(1);
                }
                try {
                  Thread.sleep(1000);
                } catch (InterruptedException _) {
                  return;
                }
              }
            },
            "fuzz-watch");
    watch.setDaemon(true);
    watch.start();
  }
}
