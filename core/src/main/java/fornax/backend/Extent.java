package fornax.backend;

/// A height and a width, such as those of a window over an image.
///
/// @param height along the last axis but one
/// @param width along the last axis
public record Extent(int height, int width) {
  /// A square.
  public static Extent of(int size) {
    return new Extent(size, size);
  }

  /// A height and a width.
  public static Extent of(int height, int width) {
    return new Extent(height, width);
  }

  /// Neither below `least`.
  boolean isAtLeast(int least) {
    return height >= least && width >= least;
  }

  @Override
  public String toString() {
    return height + "×" + width;
  }
}
