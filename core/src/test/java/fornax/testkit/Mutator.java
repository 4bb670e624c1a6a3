package fornax.testkit;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/// Changes inputs as a bad disk, a careless program and a hostile one would: bits, numbers that
/// lie, missing ends, parts moved and doubled, and words that mean something to the format.
final class Mutator {
  private static final int MOST_CHANGES = 6;
  private static final int MOST_BYTES = 1 << 16; // of what grows

  private static final List<String> NUMBERS =
      List.of(
          "0",
          "-1",
          "1",
          "2",
          "1e999",
          "-1e999",
          "1e-999",
          "0.5",
          "NaN",
          "127",
          "2147483647",
          "2147483648",
          "-2147483648",
          "4294967296",
          "999999999999999999",
          "9223372036854775807",
          "9223372036854775808",
          "18446744073709551615",
          "9".repeat(400),
          "1e2147483647",
          "00");

  private static final List<String> TEXTS =
      List.of(
          "../x",
          "../../../../etc/passwd",
          "/etc/passwd",
          "/dev/zero",
          "C:\\\\x",
          "..\\\\x",
          "..",
          ".",
          "",
          "\\u0000",
          "a\\u0000b",
          "\\ud800",
          "\\udc00\\ud800",
          "\ufeff",
          "é\u202e",
          "\n",
          "%s%n",
          "__proto__",
          "a".repeat(5000));

  private static final List<String> FRAGMENTS =
      List.of(
          "null",
          "true",
          "false",
          "{}",
          "[]",
          "\"\"",
          ",",
          ":",
          "{",
          "}",
          "[",
          "]",
          "\"",
          "\\",
          "//",
          "\r\n",
          " ",
          "\t",
          "\0",
          "NaN",
          "Infinity");

  private static final int[] DEPTHS = {2, 17, 200, 1001, 20_000};
  private static final long[] VALUES = {
    0,
    1,
    -1,
    2,
    7,
    8,
    127,
    128,
    255,
    256,
    32767,
    65535,
    65536,
    Integer.MAX_VALUE,
    1L << 31,
    1L << 32,
    Long.MAX_VALUE,
    Long.MIN_VALUE,
    100_000_000,
    1L << 40
  };

  private final SplittableRandom random;
  private final List<byte[]> words;

  Mutator(long seed, List<String> words) {
    random = new SplittableRandom(seed);
    this.words = words.stream().map(word -> word.getBytes(UTF_8)).toList();
  }

  /// One of `corpus`, changed, oftener than not one of its first `seeds`; now and then bytes of
  /// chance alone.
  byte[] next(List<byte[]> corpus, int seeds) {
    if (random.nextInt(50) == 0) {
      return noise(random.nextInt(random.nextBoolean() ? 24 : 400));
    }
    byte[] input = pick(random.nextInt(3) == 0 ? corpus : corpus.subList(0, seeds));
    for (int left = 1 + random.nextInt(MOST_CHANGES); left > 0; left--) {
      input = change(input, corpus);
      if (random.nextBoolean()) {
        break;
      }
    }
    return input;
  }

  private byte[] change(byte[] in, List<byte[]> corpus) {
    return switch (random.nextInt(16)) {
      case 0 -> flipBit(in);
      case 1 -> setByte(in);
      case 2 -> Arrays.copyOf(in, random.nextInt(in.length + 1)); // cut short
      case 3 -> remove(in);
      case 4 -> repeat(in);
      case 5 -> replace(in, at(in), 0, noise(1 + random.nextInt(8)));
      case 6 -> splice(in, pick(corpus));
      case 7 -> integer(in);
      case 8, 9 -> digits(in);
      case 10, 11 -> quoted(in);
      case 12 -> nest(in);
      case 13 -> replace(in, at(in), random.nextInt(3), pick(FRAGMENTS).getBytes(UTF_8));
      case 14 -> words.isEmpty() ? flipBit(in) : replace(in, at(in), 0, pick(words));
      default -> member(in);
    };
  }

  private <T> T pick(List<T> list) {
    return list.get(random.nextInt(list.size()));
  }

  private int at(byte[] in) {
    return random.nextInt(in.length + 1);
  }

  private byte[] noise(int length) {
    byte[] bytes = new byte[length];
    random.nextBytes(bytes);
    return bytes;
  }

  private byte[] flipBit(byte[] in) {
    byte[] out = in.clone();
    if (out.length > 0) {
      out[random.nextInt(out.length)] ^= (byte) (1 << random.nextInt(8));
    }
    return out;
  }

  private byte[] setByte(byte[] in) {
    byte[] out = in.clone();
    if (out.length > 0) {
      out[random.nextInt(out.length)] = (byte) VALUES[random.nextInt(10)];
    }
    return out;
  }

  private byte[] remove(byte[] in) {
    int from = at(in);
    int most = random.nextBoolean() ? 8 : in.length;
    return replace(in, from, random.nextInt(Math.min(most, in.length - from) + 1), new byte[0]);
  }

  private byte[] repeat(byte[] in) {
    int from = at(in);
    int to = from + random.nextInt(Math.min(200, in.length - from) + 1);
    byte[] part = Arrays.copyOfRange(in, from, to);
    int times = random.nextInt(8) == 0 ? 50 : 1;
    byte[] more = new byte[part.length * times];
    for (int i = 0; i < more.length; i++) {
      more[i] = part[i % part.length];
    }
    return replace(in, random.nextBoolean() ? to : at(in), 0, more);
  }

  private byte[] splice(byte[] in, byte[] other) {
    byte[] tail = Arrays.copyOfRange(other, at(other), other.length);
    int from = at(in);
    return replace(in, from, in.length - from, tail);
  }

  /// A binary number that lies, of 2, 4 or 8 bytes, in either order.
  private byte[] integer(byte[] in) {
    int width = 2 << random.nextInt(3);
    if (in.length < width) {
      return flipBit(in);
    }
    byte[] out = in.clone();
    long value =
        switch (random.nextInt(3)) {
          case 0 -> in.length + random.nextInt(-16, 17);
          default -> VALUES[random.nextInt(VALUES.length)];
        };
    boolean little = random.nextBoolean();
    // The head of a file is where its lengths are.
    int from = random.nextBoolean() ? random.nextInt(Math.min(24, in.length - width) + 1) : 0;
    from = random.nextInt(4) == 0 ? random.nextInt(in.length - width + 1) : from;
    for (int i = 0; i < width; i++) {
      out[from + (little ? i : width - 1 - i)] = (byte) (value >>> 8 * i);
    }
    return out;
  }

  /// A number in a text that lies.
  private byte[] digits(byte[] in) {
    int from = find(in, b -> b >= '0' && b <= '9' || b == '-');
    int to = from;
    while (to < in.length && "0123456789.eE+-".indexOf(in[to]) >= 0) {
      to++;
    }
    return replace(in, from, to - from, pick(NUMBERS).getBytes(UTF_8));
  }

  /// Another text between quotes.
  private byte[] quoted(byte[] in) {
    int from = Math.min(in.length, find(in, b -> b == '"' || b == '\'') + 1);
    int to = from;
    while (to < in.length && to - from < 200 && in[to] != '"' && in[to] != '\'') {
      to++;
    }
    byte[] text =
        words.isEmpty() || random.nextBoolean() ? pick(TEXTS).getBytes(UTF_8) : pick(words);
    return replace(in, from, to - from, text);
  }

  private byte[] nest(byte[] in) {
    int depth = DEPTHS[random.nextInt(DEPTHS.length)];
    String open = random.nextBoolean() ? "[" : "{\"a\":";
    String close = open.equals("[") ? "]" : "}";
    String all = open.repeat(depth) + (random.nextBoolean() ? "1" + close.repeat(depth) : "");
    int from = find(in, b -> b == ':' || b == ',' || b == '[');
    return replace(in, Math.min(in.length, from + 1), random.nextInt(2), all.getBytes(UTF_8));
  }

  /// What stands between two commas once more, or no more.
  private byte[] member(byte[] in) {
    int from = find(in, b -> b == ',');
    int to = from + 1;
    while (to < in.length && in[to] != ',' && in[to] != '\n') {
      to++;
    }
    if (to > in.length) {
      return flipBit(in);
    }
    byte[] part = Arrays.copyOfRange(in, from, to);
    return random.nextBoolean()
        ? replace(in, from, part.length, new byte[0])
        : replace(in, random.nextBoolean() ? to : at(in), 0, part);
  }

  private interface ByteTest {
    boolean test(byte b);
  }

  /// The first such byte from a place of chance on, or that place.
  private int find(byte[] in, ByteTest test) {
    int start = at(in);
    for (int i = start; i < in.length; i++) {
      if (test.test(in[i])) {
        return i;
      }
    }
    return start;
  }

  private static byte[] replace(byte[] in, int from, int count, byte[] by) {
    int removed = Math.min(count, in.length - from);
    if (in.length - removed + by.length > MOST_BYTES) {
      return in;
    }
    byte[] out = new byte[in.length - removed + by.length];
    System.arraycopy(in, 0, out, 0, from);
    System.arraycopy(by, 0, out, from, by.length);
    System.arraycopy(in, from + removed, out, from + by.length, in.length - from - removed);
    return out;
  }
}
