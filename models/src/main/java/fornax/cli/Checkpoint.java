package fornax.cli;

import com.google.errorprone.annotations.MustBeClosed;
import fornax.data.HuggingFaceTokenizers;
import fornax.data.Tokenizer;
import fornax.io.SafeTensors;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.GptConfig;
import fornax.models.gpt.HuggingFaceFolder;
import fornax.nn.Lora;
import fornax.nn.Precision;
import fornax.nn.TensorFile;
import fornax.nn.Weights;
import fornax.train.Checkpoints;
import fornax.train.LoraConfig;
import fornax.train.RunConfig;
import fornax.train.RunFolder;
import fornax.train.StoredWeights;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/// A trained model's files: checked before anything is built from them.
///
/// @param path the folder of a run, of a checkpoint, or of a Hugging Face model
record Checkpoint(Path path, RunConfig config, Tokenizer tokenizer) {
  /// Opens the folder of a run, of one of its checkpoints, or of a Hugging Face GPT-2. Of a run
  /// that has not ended it is the newest checkpoint.
  ///
  /// @throws IOException if the folder is none of these, or a file in it is missing, corrupt, or
  ///   not of the same model as the others
  static Checkpoint open(Path path) throws IOException {
    if (HuggingFaceFolder.isOne(path)) {
      return openHuggingFace(path);
    }
    if (Checkpoints.isOne(path)) {
      Checkpoints.verify(path);
      return read(path);
    }
    if (!Files.isRegularFile(path.resolve("config.json"))) {
      throw new UserException(
          "checkpoint: "
              + path
              + (Files.isDirectory(path)
                  ? " has no config.json"
                  : Files.exists(path) ? " is no folder" : " does not exist")
              + "; need the folder of a run, as ./fornax train prints it, or of a Hugging Face"
              + " GPT-2: config.json, model.safetensors, vocab.json and merges.txt");
    }
    RunFolder folder = RunFolder.open(path);
    boolean ended = Files.isRegularFile(folder.model()) || Files.isRegularFile(folder.adapter());
    Path newest = ended ? null : folder.checkpoints().newest(false);
    return read(newest == null ? path : newest);
  }

  private static Checkpoint openHuggingFace(Path path) throws IOException {
    GptConfig config;
    try (var files = HuggingFaceFolder.open(path)) {
      config = files.config();
    }
    Tokenizer tokenizer = HuggingFaceTokenizers.read(path);
    if (tokenizer == null) {
      throw new UserException(
          "checkpoint: no tokenizer in "
              + path
              + "; need vocab.json and merges.txt, or tokenizer.json, beside the weights");
    }
    ConvertCommand.requireSize(tokenizer, config, path);
    return new Checkpoint(path, ConvertCommand.imported(config, path), tokenizer);
  }

  /// The same where checksums have been verified or there are none.
  static Checkpoint read(Path path) throws IOException {
    RunFolder folder = RunFolder.open(path);
    RunConfig config = folder.readConfig(RunConfig.class);
    Tokenizer tokenizer = Tokenizer.load(folder.tokenizer());
    if (tokenizer.vocabularySize() != config.model().vocabulary()) {
      throw new UserException(
          "checkpoint: "
              + folder.tokenizer()
              + " has "
              + tokenizer.vocabularySize()
              + " tokens; need "
              + config.model().vocabulary()
              + ", as config.json says; take both files from one run");
    }
    Path weights = config.lora() == null ? folder.model() : folder.adapter();
    if (!Files.isRegularFile(weights)) {
      throw new UserException(
          "checkpoint: no file "
              + weights
              + "; need the weights of a run; was it stopped before the first were saved?");
    }
    if (config.lora() == null) {
      requireSize(weights, config.model());
    }
    return new Checkpoint(path, config, tokenizer);
  }

  /// Told from the file's header, so that a wrong config cannot make us build a giant.
  private static void requireSize(Path file, GptConfig config) throws IOException {
    long stored = 0;
    try (var tensors = SafeTensors.open(file)) {
      for (String name : tensors.names()) {
        stored = Math.addExact(stored, tensors.entry(name).shape().elements());
      }
    }
    long described;
    try {
      described = config.parameterCount();
    } catch (ArithmeticException _) {
      described = Long.MAX_VALUE;
    }
    if (stored != described) {
      throw new UserException(
          "checkpoint: "
              + file
              + " has "
              + stored
              + " parameters; need "
              + described
              + ", as config.json says; take both files from one run");
    }
  }

  /// The trained model on the device, computing in `precision` with the parameters as they were
  /// saved, F32. A bar is shown while many are read.
  ///
  /// @throws IOException if the weights are corrupt or not of this model
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed here or by the caller
  Gpt model(OpenDevice device, Precision precision, Output output) throws IOException {
    device.requireMemoryToRun(config.model(), precision);
    var model = new Gpt(config.model(), Weights.zeros(device.backend(), config.training().seed()));
    try {
      load(model, output);
      model.computeIn(precision);
      model.eval();
      return model;
    } catch (Throwable e) {
      model.close();
      throw e;
    }
  }

  /// Gives the parameters of `model`, which is of this config's sizes, the values in the files;
  /// adapters are merged into them.
  ///
  /// @throws IOException if they are corrupt or not of this model
  void load(Gpt model, Output output) throws IOException {
    try (var meter = loading(model, output)) {
      if (HuggingFaceFolder.isOne(path)) {
        try (var files = HuggingFaceFolder.open(path)) {
          files.load(model, meter::show);
        }
      } else if (config.lora() != null) {
        try (var weights = StoredWeights.open(path)) {
          weights.load(model, meter::show);
        }
      } else {
        Path file = RunFolder.open(path).model();
        var _ = TensorFile.load(file, model.storedParameters(), meter::show);
      }
    }
  }

  /// A bar for a load of all parameters of `model`.
  @MustBeClosed
  static Meter loading(Gpt model, Output output) {
    return new Meter(output, "loading", model.parameterCount());
  }

  /// Gives `model` the values in the files for training to go on with: the adapters beside the
  /// weights that they adapt.
  ///
  /// @throws IOException if they are corrupt or not of this model
  void loadToTrain(Gpt model, Output output) throws IOException {
    LoraConfig lora = config.lora();
    if (lora == null) {
      load(model, output);
      return;
    }
    RunFolder folder = RunFolder.open(path);
    try (var base = StoredWeights.openBase(folder, lora);
        var meter = loading(model, output)) {
      base.load(model, meter::show);
    }
    Weights zeros = Weights.zeros(model.backend(), config.training().seed());
    Lora.apply(model, lora.options(), zeros, model.generator());
    var _ = TensorFile.load(folder.adapter(), model.adapters());
  }

  /// `asked`, or the model's context where null.
  ///
  /// @throws UserException if it is longer than the model's
  int context(@Nullable Integer asked) {
    int most = config.model().context();
    if (asked != null && asked > most) {
      throw new UserException(
          "--context: longer than the checkpoint's; got "
              + asked
              + "; need at most "
              + most
              + ", which "
              + path
              + " was trained with");
    }
    return asked == null ? most : asked;
  }
}
