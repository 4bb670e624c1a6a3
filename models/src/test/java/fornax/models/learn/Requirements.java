package fornax.models.learn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.nio.file.Path;
import java.util.List;

/// What each rung must reach, in a full run and in a shortened one.
final class Requirements {
  private static final double UNIFORM = Math.log(77); // of Dickens' 77 characters
  private static final double NANO = 1.71; // what train --preset nano must reach

  private Lesson lesson =
      new Lesson(new Lesson.Setup(Path.of(""), 0, null, false), (_, _, _) -> {});

  /// @param quick whether the run was a shortened one
  void check(String name, Lesson done, boolean quick) {
    lesson = done;
    switch (name) {
      case "derivative" -> {
        near("slopeAt4", 8, 1e-5);
        near("finiteSlopeAt4", 8, 0.01);
        near("slopeAt-8", -16, 1e-5);
        near("finiteSlopeAt-8", -16, 0.02);
        near("slopeAt3", 6, 1e-5);
        near("finiteSlopeAt3", 6, 0.01);
      }
      case "backprop" -> {
        near("gradientA", -2, 1e-6);
        near("gradientB", 4, 1e-6);
        near("gradientD", 1, 1e-6);
        near("aAfterStep", 4.2, 1e-6);
        near("bAfterStep", -2.4, 1e-6);
        near("dAfterStep", 4.9, 1e-6);
        near("eAfterStep", 4.2 * -2.4 + 4.9, 1e-5);
        near("eRelu", 5, 1e-6);
        near("aAfterStepRelu", 4, 1e-6);
        near("dAfterStepRelu", 4.9, 1e-6);
      }
      case "micrograd" -> {
        near("g", 24.7041, 5e-5);
        near("gradientA", 138.8338, 1e-4);
        near("gradientB", 645.5773, 2e-4);
        atLeast("moonsAccuracy", 0.98);
        atLeast("moonsFreshAccuracy", quick ? 0.95 : 0.98);
      }
      case "linear" -> {
        near("coefficient", 0.32, 0.01);
        atMost("worstRelativeError", 0.01);
      }
      case "logistic" -> {
        atLeast("heldOutAccuracy", figure("ruleAccuracy") - 0.01);
        near("lossRises", 0, 0);
        atLeast("squaredErrorLogLoss", figure("loss"));
      }
      case "xor" -> {
        atLeast("linearAccuracy", 0.5);
        atMost("linearAccuracy", 0.75);
        near("networkAccuracy", 1, 0);
      }
      case "softmax" -> {
        near("parameters", 7850, 0);
        atLeast("testAccuracy", quick ? 0.8 : 0.92);
      }
      case "mnist" -> {
        near("parameters", 109_386, 0);
        atLeast("testAccuracy", quick ? 0.85 : 0.975);
      }
      case "bigram" -> {
        near("dnaNetworkLoss", figure("dnaCountingLoss"), 0.01);
        near("namesNetworkLoss", figure("namesCountingLoss"), 0.01);
        atLeast("namesSmoothedLoss", figure("namesCountingLoss"));
        assertTrue(list("dnaSamples").size() >= 20);
        assertTrue(list("dnaSamples").stream().allMatch(s -> s.matches("[ACGT]*")));
        assertTrue(list("namesSamples").size() >= 20);
        assertTrue(list("namesSamples").stream().distinct().count() >= 15);
      }
      case "convnet" -> {
        near("correlation0", 14, 1e-5);
        near("correlation1", 20, 1e-5);
        near("correlation2", 26, 1e-5);
        atLeast("testAccuracy", quick ? 0.8 : 0.99);
      }
      case "names" -> {
        atMost("usLoss", figure("usBigramLoss") - (quick ? 0.05 : 0.18));
        atMost("wideLoss", figure("usBigramLoss") - (quick ? 0.1 : 0.33));
        if (!quick) {
          atMost("usVowelSpread", figure("usVowelSpreadBefore"));
        }
        assertTrue(list("usSamples").stream().allMatch(word -> word.matches("[a-z]*")));
      }
      case "word2vec" -> {
        double unigram = Math.min(figure("unigramEntropy"), figure("unigramLoss"));
        atMost("cbowLoss", quick ? unigram + 0.1 : unigram);
        atLeast("trueAboveNoise", quick ? 0.7 : 0.8);
        atLeast("trueAboveFrequentNoise", quick ? 0.5 : 0.7);
        if (!quick) {
          assertTrue(list("near said").contains("replied"), list("near said").toString());
          assertTrue(list("near mother").contains("father"), list("near mother").toString());
          assertTrue(list("his - he + she").contains("her"), list("his - he + she").toString());
        }
      }
      case "attention" -> {
        near("similarity", 2.38, 1e-5);
        near("scaledSimilarity", 1.19, 1e-5);
        near("rowSumError", 0, 1e-6);
        near("futureWeight", 0, 0);
        near("differenceFromFused", 0, 1e-5);
      }
      case "transformer" -> {
        for (String part :
            List.of(
                "oneHead",
                "fourHeads",
                "feedForward",
                "residuals",
                "layerNorm",
                "gelu",
                "sinusoids",
                "learnedPositions",
                "whole")) {
          atMost(part, quick ? UNIFORM : 3.3);
        }
        atMost("whole", quick ? 3.5 : NANO);
      }
      case "cricket" -> {
        assertEquals(List.of("Rahul", "Rohit Sharma", "Gill", "Iyer"), list("kohliNearest"));
        near("kohliDistance1", 9.63, 0.005);
        near("kohliDistance2", 9.73, 0.005);
        near("kohliDistance3", 10.26, 0.005);
        near("kohliDistance4", 11.73, 0.005);
        assertEquals(List.of("Head", "Iyer", "Warner", "Marsh"), list("mixNearest"));
      }
      case "gpt3" -> {
        near("embedding", 617_558_016L, 0);
        for (String kind : List.of("query", "key", "value", "output")) {
          near(kind, 14_495_514_624L, 0);
        }
        near("upProjection", 57_982_058_496L, 0);
        near("downProjection", 57_982_058_496L, 0);
        near("unembedding", 617_558_016L, 0);
        near("total", 175_181_291_520L, 0);
        near("smallFound", figure("smallTold"), 0);
      }
      default -> fail("no bar for the rung " + name);
    }
  }

  private double figure(String name) {
    Double value = lesson.figures().get(name);
    assertNotNull(value, "no figure " + name + " in " + lesson.figures().keySet());
    return value;
  }

  private List<String> list(String name) {
    List<String> values = lesson.lists().get(name);
    assertNotNull(values, "no list " + name + " in " + lesson.lists().keySet());
    return values;
  }

  private void near(String name, double wanted, double tolerance) {
    assertEquals(wanted, figure(name), tolerance, name);
  }

  private void atLeast(String name, double bar) {
    assertTrue(figure(name) >= bar, () -> name + " is " + figure(name) + "; need " + bar);
  }

  private void atMost(String name, double bar) {
    assertTrue(figure(name) <= bar, () -> name + " is " + figure(name) + "; need <= " + bar);
  }
}
