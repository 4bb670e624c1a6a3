package fornax.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import fornax.data.Mnist;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LearnCommandTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path folder;

  private Path out() {
    return folder.resolve("out");
  }

  @Test
  void withoutName_listsAllInOrder() throws IOException {
    Cli.Result result = Cli.run("learn");
    assertEquals(ExitCode.OK, result.code(), result.err());
    List<String> names = result.out().lines().map(line -> line.split(" ")[0]).toList();
    assertEquals(
        List.of(
            "derivative",
            "backprop",
            "micrograd",
            "linear",
            "logistic",
            "softmax",
            "xor",
            "mnist",
            "convnet",
            "bigram",
            "names",
            "cricket",
            "word2vec",
            "attention",
            "transformer",
            "gpt3"),
        names);
    JsonNode json = JSON.readTree(Cli.run("learn", "--json").out());
    assertEquals(names, json.findValuesAsText("name"));
  }

  @Test
  void json_isOneObjectWithTheFigures() throws IOException {
    Cli.Result result =
        Cli.run(
            "learn",
            "derivative",
            "--json",
            "--seed",
            "5",
            "--device",
            "reference",
            "--out",
            out().toString());
    assertEquals(ExitCode.OK, result.code(), result.err());
    assertEquals(1, result.out().lines().count(), result.out());
    JsonNode json = JSON.readTree(result.out());
    assertEquals("derivative", json.get("rung").asText());
    assertEquals(5, json.get("seed").asInt());
    assertEquals("reference", json.get("device").asText());
    assertEquals(8, json.get("figures").get("slopeAt4").asDouble(), 1e-6);
    Path picture = Path.of(json.get("pictures").get(0).asText());
    assertTrue(Files.isRegularFile(picture), picture.toString());
    assertEquals(out(), picture.getParent());
  }

  @Test
  void words_nameThePicture() {
    Cli.Result result = Cli.run("learn", "cricket", "--device", "cpu", "--out", out().toString());
    assertEquals(ExitCode.OK, result.code(), result.err());
    assertTrue(result.out().contains("Rohit Sharma   9.73"), result.out());
    assertTrue(result.out().contains("picture: " + out().resolve("cricket.png")), result.out());
  }

  @Test
  void unknownRung_isAnErrorThatListsThem() {
    Cli.Result result = Cli.run("learn", "perceptron");
    assertEquals(ExitCode.BAD_INPUT, result.code());
    assertEquals(1, result.errLines().size(), result.err());
    assertTrue(result.err().contains("no rung perceptron; need one of derivative,"), result.err());
  }

  @Test
  void mnistFolder_mustHoldTheFiles() {
    Cli.Result result =
        Cli.run(
            "learn",
            "softmax",
            "--device",
            "cpu",
            "--data",
            folder.toString(),
            "--out",
            out().toString());
    assertEquals(ExitCode.BAD_INPUT, result.code());
    assertTrue(result.err().contains("no train-images-idx3-ubyte in " + folder), result.err());
  }

  @Test
  void mnistFolder_mayHoldGzippedFiles() throws IOException {
    writeIdx("train-images-idx3-ubyte", 2051, 300);
    writeIdx("train-labels-idx1-ubyte", 2049, 300);
    writeIdx("t10k-images-idx3-ubyte", 2051, 50);
    writeIdx("t10k-labels-idx1-ubyte", 2049, 50);
    Mnist mnist = Mnist.load(folder);
    assertEquals(300, mnist.training().size());
    assertEquals(7, mnist.test().label(7));
    assertEquals(7 * 20 / 255f, mnist.test().images(new int[] {7})[3], 0);
  }

  /// Images that are all of one shade, 20 times their label.
  private void writeIdx(String name, int magic, int count) throws IOException {
    boolean images = magic == 2051;
    ByteBuffer bytes = ByteBuffer.allocate(images ? 16 + count * Mnist.PIXELS : 8 + count);
    bytes.putInt(magic).putInt(count);
    if (images) {
      bytes.putInt(Mnist.SIDE).putInt(Mnist.SIDE);
    }
    for (int i = 0; i < count; i++) {
      for (int p = 0; p < (images ? Mnist.PIXELS : 1); p++) {
        bytes.put((byte) (images ? i % 10 * 20 : i % 10));
      }
    }
    try (var out = new GZIPOutputStream(Files.newOutputStream(folder.resolve(name + ".gz")))) {
      out.write(bytes.array());
    }
  }

  @Test
  void predict_readsDigits() throws IOException {
    Mnist mnist;
    try {
      mnist = Mnist.load(null);
    } catch (IOException e) {
      assumeTrue(false, e.getMessage());
      return;
    }
    Cli.Result trained =
        Cli.run("learn", "mnist", "--quick", "--device", "cpu", "--out", out().toString());
    assertEquals(ExitCode.OK, trained.code(), trained.err());
    int right = 0;
    for (int i = 0; i < 10; i++) {
      Path image = folder.resolve("digit.png");
      draw(mnist.test().images(new int[] {i}), image);
      Cli.Result result =
          Cli.run(
              "predict",
              image.toString(),
              "--checkpoint",
              out().toString(),
              "--device",
              "cpu",
              "--json");
      assertEquals(ExitCode.OK, result.code(), result.err());
      JsonNode json = JSON.readTree(result.out());
      double sum = 0;
      for (JsonNode probability : json.get("probabilities")) {
        sum += probability.asDouble();
      }
      assertEquals(1, sum, 1e-5);
      right += json.get("digit").asInt() == mnist.test().label(i) ? 1 : 0;
    }
    assertTrue(right >= 8, right + " of 10 right");
  }

  /// Black on white, ten times as large, off the middle.
  private static void draw(float[] digit, Path file) throws IOException {
    var small = new BufferedImage(Mnist.SIDE, Mnist.SIDE, BufferedImage.TYPE_BYTE_GRAY);
    for (int i = 0; i < digit.length; i++) {
      int light = Math.round(255 * (1 - digit[i]));
      small.getRaster().setSample(i % Mnist.SIDE, i / Mnist.SIDE, 0, light);
    }
    var large = new BufferedImage(500, 400, BufferedImage.TYPE_INT_RGB);
    Graphics2D paper = large.createGraphics();
    paper.setColor(java.awt.Color.WHITE);
    paper.fillRect(0, 0, 500, 400);
    paper.drawImage(small, 180, 20, 280, 280, null);
    paper.dispose();
    assertTrue(ImageIO.write(large, "png", file.toFile()));
  }

  @Test
  void predict_saysWhatIsMissing() throws IOException {
    Path blank = folder.resolve("blank.png");
    var paper = new BufferedImage(20, 20, BufferedImage.TYPE_INT_RGB);
    assertTrue(ImageIO.write(paper, "png", blank.toFile()));
    Cli.Result none = Cli.run("predict", blank.toString(), "--checkpoint", folder.toString());
    assertEquals(ExitCode.BAD_INPUT, none.code());
    assertTrue(none.err().contains("need a run of learn mnist"), none.err());
    Files.writeString(folder.resolve("model.safetensors"), "");
    Cli.Result empty = Cli.run("predict", blank.toString(), "--checkpoint", folder.toString());
    assertEquals(ExitCode.BAD_INPUT, empty.code());
    assertTrue(empty.err().contains("nothing is drawn"), empty.err());
  }
}
