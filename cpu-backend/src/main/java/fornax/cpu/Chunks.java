package fornax.cpu;

import java.util.Arrays;
import java.util.List;
import java.util.function.ToLongFunction;

/// Many arrays cut into chunks of one size, numbered through: one parallel loop for all parameters
/// of a model, small and large.
final class Chunks {
  /// The elements of a chunk.
  static final int LENGTH = 16_384;

  private final long[] firstChunk;
  private final long elements;

  private Chunks(long[] firstChunk, long elements) {
    this.firstChunk = firstChunk;
    this.elements = elements;
  }

  static <T> Chunks of(List<T> items, ToLongFunction<T> elements) {
    long[] first = new long[items.size() + 1];
    long all = 0;
    for (int i = 0; i < items.size(); i++) {
      long n = elements.applyAsLong(items.get(i));
      first[i + 1] = first[i] + Math.ceilDiv(n, LENGTH);
      all += n;
    }
    return new Chunks(first, all);
  }

  /// The number of chunks.
  int count() {
    return Math.toIntExact(firstChunk[firstChunk.length - 1]);
  }

  /// The item that chunk `chunk` belongs to.
  int item(int chunk) {
    int at = Arrays.binarySearch(firstChunk, chunk);
    if (at < 0) {
      return -at - 2;
    }
    while (firstChunk[at + 1] == chunk) {
      at++; // past items without elements
    }
    return at;
  }

  /// The first element of chunk `chunk` in its item.
  long start(int chunk) {
    return (chunk - firstChunk[item(chunk)]) * LENGTH;
  }

  void parallel(Workers workers, int cost, Workers.Task task) {
    workers.parallel(elements * cost, count(), task);
  }
}
