// Many arrays in one launch: a table on the device says where each begins, and a block finds the
// array and the chunk of it that it works on.
#pragma once

#define CHUNK 8192  // elements of a block's chunk

struct Slot {
  float* p[4];     // the arrays of the slot, as many as the kernel uses
  void* copy;      // of the first, or null
  i64 copyType;    // bf16 or f16
  i64 elements;
  i64 firstChunk;  // of all chunks of all slots
};

// The slot that chunk `chunk` belongs to: the last with firstChunk <= chunk. None is empty.
__device__ __forceinline__ Slot slotOf(const Slot* slots, u32 count, u32 chunk) {
  u32 low = 0;
  u32 high = count;
  while (high - low > 1) {
    u32 middle = (low + high) / 2;
    if (slots[middle].firstChunk <= chunk) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return slots[low];
}
