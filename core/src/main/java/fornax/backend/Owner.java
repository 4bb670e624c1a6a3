package fornax.backend;

/// What a buffer is for: the lines of the memory report.
public enum Owner {
  PARAMETERS,
  GRADIENTS,
  OPTIMIZER,
  ACTIVATIONS,
  WORKSPACE,
  DATA
}
