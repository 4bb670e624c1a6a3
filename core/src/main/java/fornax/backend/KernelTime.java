package fornax.backend;

/// What one kernel took of a device's time.
///
/// @param kernel the kernel's file, name and specialisation
/// @param launches how often it ran
/// @param nanos the time of all launches together
public record KernelTime(String kernel, long launches, long nanos) {}
