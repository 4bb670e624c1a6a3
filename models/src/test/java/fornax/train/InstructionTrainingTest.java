package fornax.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.data.CharTokenizer;
import fornax.data.EvaluationBatches;
import fornax.data.InstructionDataset;
import fornax.models.Devices;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.GptConfig;
import fornax.nn.Weights;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// What is learnt of prompts and answers.
class InstructionTrainingTest {
  private static final CharTokenizer TOKENS = CharTokenizer.of("\nabcdefgh?");
  private static final int CONTEXT = 12;
  private static final int BATCH = 2;

  @ParameterizedTest
  @MethodSource("fornax.models.Devices#names")
  void gradients_areThoseOfTheAnswersAlone(String device) throws IOException {
    var pairs = new StringBuilder();
    for (String pair : "abc?:dd ef?:gh hgf?:e bd?:aca ch?:b fad?:cc".split(" ")) {
      String[] parts = pair.split(":");
      pairs.append("{\"prompt\": \"" + parts[0] + "\", \"answer\": \"" + parts[1] + "\"}\n");
    }
    InstructionDataset data =
        InstructionDataset.of("pairs.jsonl", pairs.toString(), TOKENS, 0, CONTEXT);
    int[] x = new int[BATCH * CONTEXT];
    int[] y = new int[BATCH * CONTEXT];
    data.trainingBatches(3, BATCH).fill(0, x, y);
    int[] answers =
        IntStream.range(0, y.length).filter(i -> y[i] != EvaluationBatches.IGNORED).toArray();
    assertTrue(answers.length > 3 && answers.length < y.length / 2, answers.length + " targets");
    var config = new GptConfig(TOKENS.vocabularySize(), CONTEXT, 2, 2, 16, 0);
    try (Backend backend = Devices.open(device);
        var model = new Gpt(config, Weights.on(backend, 7))) {
      Tensors tensors = Tensors.on(backend);
      Shape shape = Shape.of(BATCH, CONTEXT);
      Map<String, float[]> all = new LinkedHashMap<>();
      try (var _ = Scope.open()) {
        model.loss(tensors.of(x, shape), tensors.of(y, shape)).backward();
        model.parameters().forEach((name, tensor) -> all.put(name, gradient(tensor)));
      }
      model.zeroGrad();
      try (var _ = Scope.open()) { // the loss of the answers' rows, and no others
        int[] targets = IntStream.of(answers).map(i -> y[i]).toArray();
        model
            .logits(tensors.of(x, shape))
            .reshape(BATCH * CONTEXT, TOKENS.vocabularySize())
            .indexSelect(0, tensors.of(answers, Shape.of(answers.length)))
            .crossEntropy(tensors.of(targets, Shape.of(targets.length)))
            .backward();
        assertEquals(all.keySet(), model.parameters().keySet());
        model
            .parameters()
            .forEach(
                (name, tensor) -> assertArrayEquals(all.get(name), gradient(tensor), 1e-6f, name));
      }
    }
  }

  private static float[] gradient(Tensor parameter) {
    return Objects.requireNonNull(parameter.grad()).toFloatArray();
  }
}
