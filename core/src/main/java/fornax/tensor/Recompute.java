package fornax.tensor;

import fornax.backend.NdArray;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.UnaryOperator;

/// Trades time for memory: a part of a computation keeps its inputs alone, and what lies between is
/// computed again when backward comes to it. PyTorch's `checkpoint` does the same.
///
/// ```java
/// Tensor y = Recompute.apply(x -> List.of(block.forward(x.get(0))), List.of(x), generator).get(0);
/// ```
///
/// The second computation is the first over again, with the same random numbers, so results and
/// gradients have the same bits as without. Of L blocks in a row the activations of one are held at
/// a time, beside the L inputs, for the price of a second forward pass. Source: arXiv:1604.06174.
public final class Recompute {
  private static final String OP = "recompute";

  private final UnaryOperator<List<Tensor>> body;
  private final Generator generator;
  private final int stream;
  private final int saved;
  private final Deque<Integer> handed = new ArrayDeque<>(); // to which output each gradient belongs

  private Recompute(UnaryOperator<List<Tensor>> body, Generator generator, int saved) {
    this.body = body;
    this.generator = generator;
    this.stream = generator.streams();
    this.saved = saved;
  }

  /// `body` of `inputs`, at least one. Where this thread records for backward, `body` is called
  /// once more then: it must be a function of its inputs, of parameters, and of what it draws from
  /// `generator`, and leave nothing else behind. Gradients reach the inputs and the parameters.
  ///
  /// @throws IllegalStateException in backward, if an input or the random state was changed in
  ///   place since
  public static List<Tensor> apply(
      UnaryOperator<List<Tensor>> body, List<Tensor> inputs, Generator generator) {
    if (!GradMode.isRecording()) {
      return body.apply(inputs);
    }
    NdArray[] kept = new NdArray[inputs.size() + 1];
    for (int i = 0; i < inputs.size(); i++) {
      kept[i] = inputs.get(i).array();
    }
    kept[inputs.size()] = generator.state();
    var region = new Recompute(body, generator, kept.length);
    try (var scope = Scope.open()) {
      List<Tensor> results;
      try (var _ = GradMode.noGrad()) {
        results = body.apply(inputs);
      }
      Tensor first = inputs.getFirst();
      Node join =
          Node.of(
              OP,
              first.backend(),
              first.array(),
              region::gradient,
              inputs.toArray(new Tensor[0]),
              kept);
      try {
        List<Tensor> outputs = new ArrayList<>();
        for (int i = 0; i < results.size(); i++) {
          outputs.add(region.output(i, results.get(i), join));
        }
        return scope.keep(outputs);
      } finally {
        join.release();
      }
    }
  }

  /// The handle of output `index`, whose gradient waits at `join` for those of the others.
  private Tensor output(int index, Tensor result, Node join) {
    NdArray y = result.array();
    Tensor joined = Tensor.unowned(result.backend(), generator.state(), join);
    GradientRule rule =
        g -> {
          handed.add(index);
          g.hand(0, g.dy());
        };
    Node node = Node.of(OP, result.backend(), y, rule, new Tensor[] {joined}, new NdArray[0]);
    y.buffer().retain();
    return Tensor.wrap(result.backend(), y, node);
  }

  private void gradient(Backprop g) {
    g.checkSaved();
    List<NdArray> gradients = g.handed(saved);
    try (var _ = GradMode.withGrad();
        var _ = Scope.open()) {
      List<Tensor> leaves = leaves(g);
      int next = generator.streams();
      generator.goTo(stream);
      List<Tensor> outputs = body.apply(leaves);
      generator.goTo(next);
      List<Node> roots = seed(outputs, gradients);
      for (Tensor output : outputs) {
        if (!leaves.contains(output)) {
          output.close(); // its node is held as a root
        }
      }
      if (!roots.isEmpty()) {
        try {
          Backprop.run(roots);
        } finally {
          roots.forEach(Node::release);
        }
      }
      for (int i = 0; i < leaves.size(); i++) {
        NdArray dx = leaves.get(i).gradArray();
        if (dx != null) {
          g.pass(i, dx);
        }
      }
    } finally {
      gradients.forEach(gradient -> gradient.buffer().release());
    }
  }

  // The inputs again, without what led to them.
  private List<Tensor> leaves(Backprop g) {
    List<Tensor> leaves = new ArrayList<>();
    for (int i = 0; i < g.inputs(); i++) {
      NdArray array = g.saved(i);
      array.buffer().retain();
      leaves.add(Tensor.wrap(g.backend(), array, null).requiresGrad(g.wants(i)));
    }
    return leaves;
  }

  // The nodes of the outputs that got a gradient, with it; each once more held.
  private List<Node> seed(List<Tensor> outputs, List<NdArray> gradients) {
    List<Node> roots = new ArrayList<>();
    while (!gradients.isEmpty()) {
      NdArray dy = gradients.getFirst();
      Node node = outputs.get(handed.removeFirst()).node();
      if (node != null) {
        dy.buffer().retain();
        node.accumulate(dy);
        node.retain();
        roots.add(node);
      }
      gradients.removeFirst().buffer().release();
    }
    return roots;
  }
}
