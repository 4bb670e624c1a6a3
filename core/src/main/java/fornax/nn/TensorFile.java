package fornax.nn;

import fornax.array.DType;
import fornax.backend.Backend;
import fornax.backend.NdArray;
import fornax.io.FileDType;
import fornax.io.HostTensor;
import fornax.io.SafeTensors;
import fornax.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.LongConsumer;

/// Tensors by name to a `.safetensors` file and back: what checkpoints of models and optimisers are
/// made of.
public final class TensorFile {
  private static final int MOST_NAMED = 5;

  private TensorFile() {}

  /// Writes `tensors` (F32, F64, BF16, F16 or I32) and `metadata`, replacing the file as a whole.
  /// One tensor at a time is in the host's memory.
  ///
  /// @throws IOException if the file cannot be written; its old contents are then still there
  public static void save(Path file, Map<String, Tensor> tensors, Map<String, String> metadata)
      throws IOException {
    SequencedMap<String, HostTensor> stored = new LinkedHashMap<>();
    tensors.forEach(
        (name, tensor) -> {
          FileDType dtype = FileDType.valueOf(tensor.dtype().name());
          stored.put(name, new HostTensor(dtype, tensor.shape(), () -> bytes(tensor)));
        });
    SafeTensors.write(file, stored, metadata);
  }

  private static MemorySegment bytes(Tensor tensor) {
    HostTensor host =
        switch (tensor.dtype()) {
          case F32 -> HostTensor.ofFloats(FileDType.F32, tensor.shape(), tensor.toFloatArray());
          case BF16, F16 ->
              HostTensor.ofFloats(
                  FileDType.valueOf(tensor.dtype().name()), tensor.shape(), tensor.toFloatArray());
          case F64 -> HostTensor.ofDoubles(tensor.shape(), tensor.toDoubleArray());
          case I32 -> HostTensor.ofInts(FileDType.I32, tensor.shape(), tensor.toIntArray());
          case BOOL ->
              throw new IllegalArgumentException(
                  "save: got BOOL " + tensor.shape() + "; need F32, F64, BF16, F16 or I32");
        };
    return host.bytes();
  }

  /// Reads every one of `into` from the file, converted to its type. Names and shapes are checked
  /// before the first tensor changes.
  ///
  /// @param into contiguous tensors of type F32, F64 or I32
  /// @return the file's metadata
  /// @throws IOException if the file cannot be read, is corrupt, lacks a tensor, holds another, or
  ///   one of another shape; the message names all of these
  public static Map<String, String> load(Path file, Map<String, Tensor> into) throws IOException {
    return load(file, into, _ -> {});
  }

  /// The same, with `loaded` told after each tensor how many elements have been read.
  ///
  /// @throws IOException likewise
  public static Map<String, String> load(Path file, Map<String, Tensor> into, LongConsumer loaded)
      throws IOException {
    try (var source = SafeTensors.open(file)) {
      check(file, source, into);
      long elements = 0;
      for (Map.Entry<String, Tensor> entry : into.entrySet()) {
        upload(source.entry(entry.getKey()), entry.getValue());
        elements += entry.getValue().elements();
        loaded.accept(elements);
      }
      return new LinkedHashMap<>(source.metadata());
    }
  }

  private static void check(Path file, SafeTensors source, Map<String, Tensor> into)
      throws IOException {
    List<String> faults = new ArrayList<>();
    for (Map.Entry<String, Tensor> entry : into.entrySet()) {
      String name = entry.getKey();
      if (!source.contains(name)) {
        faults.add("missing " + name + " " + entry.getValue().shape());
      } else if (!source.entry(name).shape().equals(entry.getValue().shape())) {
        faults.add(
            name
                + " is "
                + source.entry(name).shape()
                + " where "
                + entry.getValue().shape()
                + " is needed");
      }
    }
    for (String name : source.names()) {
      if (!into.containsKey(name)) {
        faults.add("extra " + name + " " + source.entry(name).shape());
      }
    }
    if (!faults.isEmpty()) {
      int named = Math.min(MOST_NAMED, faults.size());
      throw new IOException(
          file
              + ": tensors do not match; got "
              + String.join(", ", faults.subList(0, named))
              + (named < faults.size() ? " and " + (faults.size() - named) + " more" : "")
              + "; need exactly the "
              + into.size()
              + " tensors of this model; was it made with another configuration?");
    }
  }

  /// Makes `tensor` (contiguous, F32, F64 or I32) hold the values of `source`, converted to its
  /// type. Where `source` is a part of a mapped file, its pages leave the memory again.
  ///
  /// @throws IOException if a value does not fit
  public static void upload(HostTensor source, Tensor tensor) throws IOException {
    NdArray array = tensor.array();
    Backend backend = tensor.backend();
    backend.upload(
        switch (array.dtype()) {
          case F32 -> MemorySegment.ofArray(source.floats());
          case F64 -> MemorySegment.ofArray(source.doubles());
          case I32 -> MemorySegment.ofArray(source.ints());
          case BF16, F16, BOOL ->
              throw new IllegalArgumentException(
                  "load: got " + array + "; need " + DType.F32 + ", F64 or I32");
        },
        array);
    array.buffer().changed();
    MemorySegment bytes = source.bytes();
    if (bytes.isMapped()) {
      bytes.unload();
    }
  }
}
