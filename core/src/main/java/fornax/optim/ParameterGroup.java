package fornax.optim;

import fornax.tensor.Tensor;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/// Parameters by path that are treated alike.
///
/// @param weightDecay the weight decay of these
public record ParameterGroup(Map<String, Tensor> parameters, double weightDecay) {
  public ParameterGroup {
    Checks.rate("weight decay", weightDecay);
    parameters = Collections.unmodifiableMap(new LinkedHashMap<>(parameters));
  }

  /// All `parameters` with the same weight decay.
  public static List<ParameterGroup> of(Map<String, Tensor> parameters, double weightDecay) {
    return List.of(new ParameterGroup(parameters, weightDecay));
  }

  /// Two groups: parameters of rank 2 and above (matrices, embeddings) with `weightDecay`, the
  /// others (biases, normalisation) with none: nanoGPT's rule. Empty groups are left out.
  public static List<ParameterGroup> decayMatrices(
      Map<String, Tensor> parameters, double weightDecay) {
    SequencedMap<String, Tensor> matrices = new LinkedHashMap<>();
    SequencedMap<String, Tensor> others = new LinkedHashMap<>();
    parameters.forEach(
        (path, tensor) -> (tensor.rank() >= 2 ? matrices : others).put(path, tensor));
    return List.of(new ParameterGroup(matrices, weightDecay), new ParameterGroup(others, 0))
        .stream()
        .filter(group -> !group.parameters().isEmpty())
        .toList();
  }
}
