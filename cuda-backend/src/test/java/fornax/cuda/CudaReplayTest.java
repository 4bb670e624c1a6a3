package fornax.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Replay;
import fornax.optim.AdamW;
import fornax.optim.GradientClip;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.tensor.AttentionSpec;
import fornax.tensor.Generator;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import org.junit.jupiter.api.Test;

/// Steps recorded as a CUDA graph.
class CudaReplayTest {
  private static final int STEPS = 5;

  /// Batch, dropout, the optimiser's numbers and clipping change from step to step.
  @Test
  void trainingStep_givesTheSameBitsWithAndWithoutGraphs() {
    List<float[]> graphs = train();
    System.setProperty("fornax.cuda.graphs", "false");
    try {
      List<float[]> eager = train();
      assertEquals(graphs.size(), eager.size());
      for (int i = 0; i < eager.size(); i++) {
        assertArrayEquals(eager.get(i), graphs.get(i), "result " + i);
      }
      assertTrue(eager.getFirst()[0] > eager.get(STEPS - 1)[0], "the loss must fall");
    } finally {
      System.clearProperty("fornax.cuda.graphs");
    }
  }

  // The loss of each step, then the parameters.
  private static List<float[]> train() {
    List<float[]> results = new ArrayList<>();
    try (CudaBackend backend = TestDevice.open()) {
      Tensors on = Tensors.on(backend);
      Tensor table = numbers(on, 11, 24).escape().requiresGrad(true);
      Tensor project = numbers(on, 24, 24).escape().requiresGrad(true);
      Tensor out = numbers(on, 8, 11).escape().requiresGrad(true);
      Tensor x = on.zeros(DType.I32, Shape.of(2, 9)).escape();
      Tensor loss = on.zeros(DType.F32, Shape.scalar()).escape();
      var parameters = new LinkedHashMap<String, Tensor>();
      parameters.put("table", table);
      parameters.put("project", project);
      parameters.put("out", out);
      Generator generator = new Generator(backend, 3);
      AdamW optimizer =
          new AdamW(
              List.of(new ParameterGroup(parameters, 0.1)), Schedule.cosine(0.05, 0.01, 1, STEPS));
      GradientClip clip = GradientClip.byGlobalNorm(backend, 1);
      Runnable step =
          () -> {
            try (var _ = Scope.open()) {
              Tensor hidden = table.embedding(x).matmul(project);
              Tensor y =
                  Tensor.selfAttention(hidden, 2, AttentionSpec.CAUSAL.withDropout(0.2, generator));
              Tensor found = y.matmul(out).reshape(18, 11).crossEntropy(x.reshape(18));
              found.backward();
              backend.copy(found.array(), loss.array());
              optimizer.apply(clip.scale(optimizer.parameters()));
              optimizer.zeroGrad();
            }
          };
      Replay replay = null;
      for (int i = 0; i < STEPS; i++) {
        int[] tokens = new int[18];
        for (int k = 0; k < tokens.length; k++) {
          tokens[k] = (k * k + i) % 11;
        }
        backend.upload(MemorySegment.ofArray(tokens), x.array());
        generator.setStep(i);
        optimizer.begin();
        if (i == 0) {
          step.run();
        } else {
          if (replay == null) {
            replay = backend.capture(step);
          }
          long launches = backend.device().launches();
          replay.run();
          boolean graph = fornax.backend.Settings.cudaGraphs();
          assertEquals(graph, backend.device().launches() - launches == 1);
        }
        // What comes between may take no memory of the recorded step.
        try (var _ = Scope.open()) {
          float[] _ = on.full(7.0, DType.F32, Shape.of(24, 24)).toFloatArray();
        }
        results.add(loss.toFloatArray());
      }
      for (Tensor parameter : parameters.values()) {
        results.add(parameter.toFloatArray());
      }
      if (replay != null) {
        replay.close();
      }
      optimizer.close();
      clip.close();
      generator.close();
      List.of(table, project, out, x, loss).forEach(Tensor::close);
      assertEquals(0, backend.memory().stats().live(), () -> "" + backend.memory().leaks());
    }
    return results;
  }

  @Test
  void keptMemory_isNotLeasedAgainUntilTheReplayCloses() {
    try (CudaBackend backend = TestDevice.open()) {
      Tensors on = Tensors.on(backend);
      Tensor x = numbers(on, 3, 5).escape();
      Replay replay =
          backend.capture(
              () -> {
                try (var _ = Scope.open()) {
                  Tensor _ = x.mul(2).add(1);
                }
              });
      long system = backend.memory().stats().system();
      try (var _ = Scope.open()) {
        Tensor _ = on.zeros(DType.F32, Shape.of(3, 5));
        assertTrue(backend.memory().stats().system() > system, "a block of its own");
      }
      replay.close();
      long after = backend.memory().stats().system();
      try (var _ = Scope.open()) {
        Tensor _ = on.zeros(DType.F32, Shape.of(3, 5));
        Tensor _ = on.zeros(DType.F32, Shape.of(3, 5));
        assertEquals(after, backend.memory().stats().system());
      }
      assertThrows(IllegalStateException.class, replay::run);
      x.close();
    }
  }

  @Test
  void readingInsideARecordedStep_isAnError_andTheDeviceGoesOn() {
    try (CudaBackend backend = TestDevice.open();
        var _ = Scope.open()) {
      Tensor x = numbers(Tensors.on(backend), 3, 5);
      var e =
          assertThrows(
              IllegalStateException.class,
              () ->
                  backend.capture(
                      () -> {
                        try (var _ = Scope.open()) {
                          float[] _ = x.sum().toFloatArray();
                        }
                      }));
      assertTrue(String.valueOf(e.getMessage()).contains("inside a captured step"), e::toString);
      assertEquals(15, x.mul(0).add(1).sum().toFloatArray()[0]);
    }
  }

  private static Tensor numbers(Tensors on, int rows, int columns) {
    float[] values = new float[rows * columns];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) StrictMath.sin(i * 12.9898) / 2;
    }
    return on.of(values, Shape.of(rows, columns));
  }
}
