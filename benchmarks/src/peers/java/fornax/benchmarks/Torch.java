package fornax.benchmarks;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Tensor;

/// What JavaCPP's PyTorch lacks. The fused AdamW kernel, which Python's `AdamW(fused=True)` runs:
/// without it PyTorch would update parameter by parameter in many small operations, and look slower
/// than it is. And autocast, Python's `torch.autocast("cpu", torch.bfloat16)`.
@SuppressWarnings("restricted") // foreign calls are its point
final class Torch {
  /// The system property with the path of the `libtorch_cpu.so` in use.
  static final String LIBRARY = "fornax.peers.libtorch";

  // at::_ops::_fused_adamw_::call(params, grads, moments, ..., lr, betas, decay, eps, ...)
  private static final String FUSED_ADAMW =
      "_ZN2at4_ops13_fused_adamw_4callEN3c108ArrayRefINS_6TensorEEES5_S5_S5_S5_S5_dddddbbRKSt8optionalIS4_ES9_";

  private static final String AUTOCAST = "_ZN2at8autocast";
  private static final byte CPU = 0; // c10::DeviceType
  private static final byte BFLOAT16 = 15; // c10::ScalarType

  private static final StructLayout ARRAY_REF =
      MemoryLayout.structLayout(ADDRESS.withName("data"), JAVA_LONG.withName("length"));
  private static final int OPTIONAL_BYTES = 16; // a pointer and a flag, false

  private final Arena arena = Arena.global();
  private final MethodHandle fusedAdamW;
  private final MethodHandle enableAutocast;
  private final MethodHandle setAutocastType;
  private final MethodHandle enterAutocast;
  private final MethodHandle leaveAutocast;
  private final MethodHandle clearAutocast;
  private final MemorySegment none = arena.allocate(OPTIONAL_BYTES, 8);
  private final MemorySegment nothing = arrayRef(List.of());

  Torch() {
    SymbolLookup library =
        SymbolLookup.libraryLookup(Path.of(System.getProperty(LIBRARY, "")), arena);
    fusedAdamW =
        Linker.nativeLinker()
            .downcallHandle(
                library.findOrThrow(FUSED_ADAMW),
                FunctionDescriptor.ofVoid(
                    ARRAY_REF,
                    ARRAY_REF,
                    ARRAY_REF,
                    ARRAY_REF,
                    ARRAY_REF,
                    ARRAY_REF,
                    JAVA_DOUBLE,
                    JAVA_DOUBLE,
                    JAVA_DOUBLE,
                    JAVA_DOUBLE,
                    JAVA_DOUBLE,
                    JAVA_BOOLEAN,
                    JAVA_BOOLEAN,
                    ADDRESS,
                    ADDRESS));
    Linker linker = Linker.nativeLinker();
    enableAutocast =
        linker.downcallHandle(
            library.findOrThrow(AUTOCAST + "20set_autocast_enabledEN3c1010DeviceTypeEb"),
            FunctionDescriptor.ofVoid(JAVA_BYTE, JAVA_BOOLEAN));
    setAutocastType =
        linker.downcallHandle(
            library.findOrThrow(
                AUTOCAST + "18set_autocast_dtypeEN3c1010DeviceTypeENS1_10ScalarTypeE"),
            FunctionDescriptor.ofVoid(JAVA_BYTE, JAVA_BYTE));
    enterAutocast =
        linker.downcallHandle(
            library.findOrThrow(AUTOCAST + "17increment_nestingEv"),
            FunctionDescriptor.of(JAVA_INT));
    leaveAutocast =
        linker.downcallHandle(
            library.findOrThrow(AUTOCAST + "17decrement_nestingEv"),
            FunctionDescriptor.of(JAVA_INT));
    clearAutocast =
        linker.downcallHandle(
            library.findOrThrow(AUTOCAST + "11clear_cacheEv"), FunctionDescriptor.ofVoid());
  }

  /// Runs `work` under autocast to BF16: products, and attention, of rounded operands.
  <T> T autocast(Supplier<T> work) {
    try {
      setAutocastType.invokeExact(CPU, BFLOAT16);
      enableAutocast.invokeExact(CPU, true);
      int _ = (int) enterAutocast.invokeExact();
      try {
        return work.get();
      } finally {
        enableAutocast.invokeExact(CPU, false);
        int _ = (int) leaveAutocast.invokeExact();
        clearAutocast.invokeExact();
      }
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /// `tensors` as the C++ functions take them. A tensor is one pointer, which JavaCPP's object
  /// points to; both must stay alive while the result is in use.
  MemorySegment arrayRef(List<Tensor> tensors) {
    MemorySegment pointers = arena.allocate(Math.max(8, 8L * tensors.size()), 8);
    for (int i = 0; i < tensors.size(); i++) {
      MemorySegment tensor = MemorySegment.ofAddress(tensors.get(i).address()).reinterpret(8);
      pointers.setAtIndex(JAVA_LONG, i, tensor.get(JAVA_LONG, 0));
    }
    MemorySegment ref = arena.allocate(ARRAY_REF);
    ref.set(ADDRESS, 0, pointers);
    ref.set(JAVA_LONG, 8, tensors.size());
    return ref;
  }

  /// The parameters of one update.
  record Slots(
      MemorySegment parameters,
      MemorySegment gradients,
      MemorySegment firstMoments,
      MemorySegment secondMoments,
      MemorySegment steps) {}

  /// One update with PyTorch's default betas and epsilon.
  void adamW(Slots slots, double rate, double weightDecay) {
    try {
      fusedAdamW.invokeExact(
          slots.parameters(),
          slots.gradients(),
          slots.firstMoments(),
          slots.secondMoments(),
          nothing,
          slots.steps(),
          rate,
          0.9,
          0.999,
          weightDecay,
          1e-8,
          false,
          false,
          none,
          none);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
