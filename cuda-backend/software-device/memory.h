// Device memory: guarded mappings in one reserved range of addresses.

#ifndef SOFTWARE_CUDA_MEMORY_H
#define SOFTWARE_CUDA_MEMORY_H

#include "device.h"

#include <stddef.h>

// 0 or a CUresult. device -1: host memory that the device may use.
int memory_allocate(u64 bytes, int device, u64 *address);
int memory_free(u64 address, int device);
// The allocation that holds [address, address + bytes), or null. Copies and kernels of a device
// may touch its own memory and host memory of this kind.
const Range *memory_find(u64 address, u64 bytes);
void memory_explain(u64 address, u64 bytes, int device, char *out, size_t size);
u64 memory_used(int device);
// Frees all memory of a device: its context ends.
void memory_free_all(int device);

// Host memory registered by the program.
int memory_register(u64 address, u64 bytes);
int memory_unregister(u64 address);
// Whether host memory that the device may use holds the range.
int memory_registered(u64 address, u64 bytes);

void memory_tables(u64 *arena, u64 *arenaBytes, const u32 **pages, const Range **ranges);

#endif
