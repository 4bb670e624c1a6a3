package fornax.backend;

/// What a device's pool holds, in bytes.
///
/// @param live leased to buffers now, as asked for
/// @param peak the most that was ever live (since [Memory#resetPeak()])
/// @param cached kept in the pool, leased to nobody
/// @param system asked of the system and not given back: leases, their rounding, and the cache
/// @param buffers the number of live buffers
/// @param allocations leases since the start
/// @param systemRequests blocks asked of the system since the start
public record MemoryStats(
    long live,
    long peak,
    long cached,
    long system,
    long buffers,
    long allocations,
    long systemRequests) {}
