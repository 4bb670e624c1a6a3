package fornax.nn;

import fornax.array.ShapeException;
import fornax.backend.Conv2dOptions;
import fornax.backend.Extent;
import fornax.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// A convolution with filters to be learned. Shapes: `x [N, in, H, W], weight [out, in/groups, h,
/// w], bias [out] → y [N, out, H', W']`.
///
/// As in PyTorch, weight and bias start uniform in `[−1/√n, 1/√n)`, n being the elements that one
/// result sums up, `in/groups·h·w`.
public final class Conv2d extends Layer {
  private final Tensor weight;
  private final @Nullable Tensor bias;
  private final Conv2dOptions options;

  /// A square filter of the size `kernel`, moved by 1 without padding.
  public Conv2d(Weights weights, long in, long out, int kernel) {
    this(weights, in, out, kernel, Conv2dOptions.DEFAULT);
  }

  /// A square filter of the size `kernel`.
  public Conv2d(Weights weights, long in, long out, int kernel, Conv2dOptions options) {
    this(weights, in, out, Extent.of(kernel), options, true);
  }

  /// @throws IllegalArgumentException if `options` has groups that do not divide `in` and `out`
  public Conv2d(
      Weights weights, long in, long out, Extent kernel, Conv2dOptions options, boolean hasBias) {
    int groups = options.groups();
    if (in % groups != 0 || out % groups != 0) {
      throw new IllegalArgumentException(
          "Conv2d: groups do not divide the channels; got "
              + groups
              + " groups of "
              + in
              + " and "
              + out
              + " channels; need a divisor of both");
    }
    long inputs = in / groups * kernel.height() * kernel.width();
    Initializer uniform = Initializer.uniform(1 / Math.sqrt(Math.max(1, inputs)));
    weight =
        workingParameter(
            "weight", weights.create(uniform, out, in / groups, kernel.height(), kernel.width()));
    bias = hasBias ? parameter("bias", weights.create(uniform, out)) : null;
    this.options = options;
  }

  /// @throws ShapeException if `x` is not `[N, in, H, W]` with an image that the filter fits into
  @Override
  public Tensor forward(Tensor x) {
    Tensor lowered = lowered(x);
    Tensor y = lowered.conv2d(weight.working(), bias, options);
    if (lowered != x) {
      lowered.close();
    }
    return y;
  }

  /// The filters, `[out, in/groups, h, w]`.
  public Tensor weight() {
    return weight;
  }

  /// The bias, `[out]`, or null.
  public @Nullable Tensor bias() {
    return bias;
  }
}
