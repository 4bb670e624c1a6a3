package fornax.backend;

/// What one kernel took of a device's time.
///
/// @param op the operation that it ran for: `matmul`, `attentionGradient`
/// @param kernel the kernel's file, name and specialisation; the operation again where the time is
///   that of whole operations
/// @param launches how often it ran
/// @param nanos the time of all launches together
public record KernelTime(String op, String kernel, long launches, long nanos) {}
