package fornax.tensor;

/// The gradient of one operation: reads `dy` and what was saved, and gives each input that wants
/// one its gradient.
@FunctionalInterface
interface GradientRule {
  void apply(Backprop g);
}
