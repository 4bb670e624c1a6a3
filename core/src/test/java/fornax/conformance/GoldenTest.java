package fornax.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.Shape;
import fornax.backend.reference.ReferenceBackend;
import fornax.io.FileDType;
import fornax.io.HostTensor;
import fornax.io.SafeTensors;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GoldenTest {
  private final ReferenceBackend backend = new ReferenceBackend();

  @TempDir Path folder = Path.of("");

  @BeforeEach
  void copyTheBuiltInFiles() throws IOException {
    for (String name :
        List.of(Golden.OPERATORS, Golden.LAYERS, Golden.MODEL, Golden.MODEL_WEIGHTS)) {
      try (InputStream in = Objects.requireNonNull(Golden.class.getResourceAsStream(name), name)) {
        Files.copy(in, folder.resolve(name));
      }
    }
  }

  @AfterEach
  void close() {
    assertEquals(0, backend.memory().stats().live());
    backend.close();
  }

  private Map<String, CaseResult> operators() throws IOException {
    return Golden.in(folder).operators(backend).stream()
        .collect(Collectors.toMap(CaseResult::op, result -> result));
  }

  private static CaseResult get(Map<String, CaseResult> results, String op) {
    return Objects.requireNonNull(results.get(op), op);
  }

  @Test
  void operators_ofAFolderAreThoseBuiltIn() throws IOException {
    assertEquals(
        Golden.builtIn().operators(backend).toString(),
        Golden.in(folder).operators(backend).toString());
  }

  @Test
  void operators_haveOneResultForEachCase() throws IOException {
    Map<String, CaseResult> results = operators();
    for (String golden : List.of(Golden.OPERATORS, Golden.LAYERS)) {
      try (SafeTensors file = SafeTensors.open(folder.resolve(golden))) {
        for (String name : file.metadata().keySet()) {
          assertTrue(name.equals("torch") || results.containsKey(name), name);
        }
      }
    }
    results.values().forEach(result -> assertTrue(result.passed(), result::toString));
  }

  // Cases of other sizes under other names, two of them with a wrong number.
  @Test
  void operators_areJudgedByTheFileAlone() throws IOException {
    float[] a = {1, 2, 3, 4, 5, 6};
    Map<String, HostTensor> tensors = new TreeMap<>();
    for (String name : new String[] {"matmul.new.nn", "matmul.wrong", "matmul.wrong_gradient"}) {
      tensors.put(name + ".in.a", HostTensor.ofFloats(FileDType.F32, Shape.of(2, 3), a));
      tensors.put(name + ".in.b", HostTensor.ofFloats(FileDType.F32, Shape.of(3, 1), 1, 0, -1));
      tensors.put(name + ".gout", HostTensor.ofFloats(FileDType.F32, Shape.of(2, 1), 1, 2));
      tensors.put(name + ".out", HostTensor.ofDoubles(Shape.of(2, 1), -2, -2));
      tensors.put(name + ".grad.a", HostTensor.ofDoubles(Shape.of(2, 3), 1, 0, -1, 2, 0, -2));
      tensors.put(name + ".grad.b", HostTensor.ofDoubles(Shape.of(3, 1), 9, 12, 15));
    }
    tensors.put("matmul.wrong.out", HostTensor.ofDoubles(Shape.of(2, 1), -2, -2.001));
    tensors.put("matmul.wrong_gradient.grad.b", HostTensor.ofDoubles(Shape.of(3, 1), 9, 12, 14));
    tensors.put("fold.in.x", HostTensor.ofFloats(FileDType.F32, Shape.of(1), 1));
    tensors.put("fold.out", HostTensor.ofDoubles(Shape.of(1), 1));
    tensors.put("softmax.bad.in.x", HostTensor.ofFloats(FileDType.F32, Shape.of(1), 1));
    tensors.put("softmax.bad.out", HostTensor.ofDoubles(Shape.of(1), 1));
    SafeTensors.write(
        folder.resolve(Golden.OPERATORS), tensors, Map.of("softmax.bad", "{\"dim\": 3}"));

    Files.delete(folder.resolve(Golden.LAYERS));
    Map<String, CaseResult> results = operators();
    assertEquals(5, results.size());
    assertTrue(get(results, "matmul.new.nn").passed());
    assertEquals(0, get(results, "matmul.new.nn").maxError());
    CaseResult wrong = get(results, "matmul.wrong");
    assertEquals(CaseResult.Status.FAILED, wrong.status());
    assertEquals(0.001 / 2.001, wrong.maxError(), 1e-9);
    assertEquals("worst in out", wrong.note());
    assertEquals("worst in grad.b", get(results, "matmul.wrong_gradient").note());
    assertEquals(CaseResult.Status.SKIPPED, get(results, "fold").status());
    assertEquals("no operator of this name is known", get(results, "fold").note());
    assertEquals(CaseResult.Status.FAILED, get(results, "softmax.bad").status());
    assertTrue(get(results, "softmax.bad").note().contains("axis"));
  }

  @Test
  void model_noticesAWrongNumber() throws IOException {
    try (SafeTensors file = SafeTensors.open(folder.resolve(Golden.MODEL))) {
      Map<String, HostTensor> tensors = new TreeMap<>();
      for (String name : file.names()) {
        tensors.put(name, file.entry(name));
      }
      double[] logits = file.doubles("f64.logits");
      logits[17] += 1e-3;
      tensors.put("f64.logits", HostTensor.ofDoubles(file.entry("f64.logits").shape(), logits));
      long[] other = new long[file.ints("greedy.tokens").length];
      tensors.put("greedy.tokens", HostTensor.ofLongs(Shape.of(other.length), other));
      Path changed = folder.resolve("changed");
      SafeTensors.write(changed, tensors, file.metadata());
      Files.move(changed, folder.resolve(Golden.MODEL), StandardCopyOption.REPLACE_EXISTING);
    }
    Map<String, CaseResult> results =
        Golden.in(folder).model(backend).stream()
            .collect(Collectors.toMap(CaseResult::op, result -> result));
    assertEquals(CaseResult.Status.FAILED, get(results, "gpt2.logits").status());
    assertEquals(CaseResult.Status.FAILED, get(results, "gpt2.greedy").status());
    assertTrue(get(results, "gpt2.greedy").note().endsWith("not 0"));
    assertTrue(get(results, "gpt2.gradients").passed());
  }

  @Test
  void in_rejectsAFolderWithoutTheFiles() throws IOException {
    Files.delete(folder.resolve(Golden.MODEL));
    NoSuchFileException e = assertThrows(NoSuchFileException.class, () -> Golden.in(folder));
    assertTrue(String.valueOf(e.getMessage()).endsWith(Golden.MODEL));
  }
}
