// Allocations end at a page that cannot be touched, start with contents that no program should
// like (NaN as any floating-point type, far out of bounds as an index), and their addresses are
// not used again before the whole range has been.

#include "memory.h"

#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096ull
#define GUARD_PAGES 16u
#define ALIGNMENT 256u

typedef struct Registered { u64 address, bytes; } Registered;

static u64 arena, arenaPages, nextPage;
static u32 *pages;
static Range *ranges;       // hi is 0 once freed
static u64 *sizes;          // of each range, kept after the free for messages
static u32 rangeCount, rangeCapacity;
static Registered *registered;
static int registeredCount;
static u64 used[8];

static int reserve(void) {
  if (arena) return 1;
  for (u64 bytes = 1ull << 40; bytes >= 1ull << 33; bytes >>= 2) {
    void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) continue;
    void *table = mmap(NULL, bytes / PAGE * sizeof(u32), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (table == MAP_FAILED) {
      munmap(p, bytes);
      continue;
    }
    arena = (u64)p;
    arenaPages = bytes / PAGE;
    pages = table;
    nextPage = GUARD_PAGES;
    rangeCapacity = 1024;
    ranges = calloc(rangeCapacity, sizeof(Range));
    sizes = calloc(rangeCapacity, sizeof(u64));
    ranges[0] = (Range){.lo = ~0ull, .hi = 0, .device = -2};   // where nothing is allocated
    rangeCount = 1;
    return 1;
  }
  return 0;
}

// The first of `count` pages that belong to no live allocation, 0 if there is none.
static u64 find_pages(u64 count) {
  for (int round = 0; round < 2; round++) {
    u64 start = nextPage;
    for (u64 p = nextPage; p < arenaPages; p++) {
      if (ranges[pages[p]].hi) start = p + 1 + GUARD_PAGES;
      else if (p + 1 >= start + count + GUARD_PAGES) return start;
    }
    nextPage = GUARD_PAGES;
  }
  return 0;
}

int memory_allocate(u64 bytes, int device, u64 *address) {
  if (bytes == 0) return 1;
  if (!reserve()) return 2;
  u64 rounded = (bytes + ALIGNMENT - 1) & ~(u64)(ALIGNMENT - 1), count = (rounded + PAGE - 1) / PAGE;
  if (rounded < bytes || (device >= 0 && rounded > settings.memory - used[device])) return 2;
  u64 first = count < arenaPages ? find_pages(count) : 0;
  if (!first) return 2;
  void *start = (void *)(arena + first * PAGE);
  if (mprotect(start, count * PAGE, PROT_READ | PROT_WRITE)) return 2;
  if (rangeCount == rangeCapacity) {
    rangeCapacity *= 2;
    ranges = realloc(ranges, rangeCapacity * sizeof(Range));
    sizes = realloc(sizes, rangeCapacity * sizeof(u64));
  }
  u64 lo = arena + (first + count) * PAGE - rounded;
  ranges[rangeCount] = (Range){lo, lo + bytes, device, (int)rangeCount};
  sizes[rangeCount] = bytes;
  for (u64 p = first; p < first + count; p++) pages[p] = rangeCount;
  rangeCount++;
  nextPage = first + count + GUARD_PAGES;
  if (device >= 0) used[device] += rounded;
  if (!settings.count) memset(start, 0xfd, count * PAGE);
  if (!settings.count)
    for (u64 i = 1; i < count * PAGE; i += 2) ((u8 *)start)[i] = 0xff;
  *address = lo;
  return 0;
}

static void release(u32 index) {
  Range *r = &ranges[index];
  u64 rounded = (sizes[index] + ALIGNMENT - 1) & ~(u64)(ALIGNMENT - 1), count = (rounded + PAGE - 1) / PAGE;
  void *start = (void *)(r->lo & ~(PAGE - 1));
  madvise(start, count * PAGE, MADV_DONTNEED);
  mprotect(start, count * PAGE, PROT_NONE);
  if (r->device >= 0) used[r->device] -= rounded;
  r->hi = 0;
}

static u32 index_of(u64 address) {
  return arena && address - arena < arenaPages * PAGE ? pages[(address - arena) / PAGE] : 0;
}

int memory_free(u64 address, int device) {
  u32 index = index_of(address);
  if (!index || !ranges[index].hi || ranges[index].lo != address || ranges[index].device != device) return 1;
  release(index);
  return 0;
}

void memory_free_all(int device) {
  for (u32 i = 1; i < rangeCount; i++)
    if (ranges[i].hi && ranges[i].device == device) release(i);
}

const Range *memory_find(u64 address, u64 bytes) {
  u32 index = index_of(address);
  if (!index) return NULL;
  const Range *r = &ranges[index];
  return address >= r->lo && address + bytes >= address && address + bytes <= r->hi ? r : NULL;
}

void memory_explain(u64 address, u64 bytes, int device, char *out, size_t size) {
  u32 index = index_of(address);
  if (!index) {
    snprintf(out, size, "an address outside every allocation of the device");
    return;
  }
  const Range *r = &ranges[index];
  if (!r->hi) snprintf(out, size, "memory that was freed (allocation %d, %llu bytes)", r->order, (unsigned long long)sizes[index]);
  else if (address < r->lo) snprintf(out, size, "%llu bytes before allocation %d of %llu bytes", (unsigned long long)(r->lo - address), r->order, (unsigned long long)sizes[index]);
  else if (address + bytes > r->hi) snprintf(out, size, "%llu bytes beyond the end of allocation %d of %llu bytes", (unsigned long long)(address + bytes - r->hi), r->order, (unsigned long long)sizes[index]);
  else snprintf(out, size, "memory of device %d, used by device %d", r->device, device);
}

u64 memory_used(int device) { return used[device]; }

int memory_register(u64 address, u64 bytes) {
  if (!address || !bytes) return 1;
  for (int i = 0; i < registeredCount; i++)
    if (address < registered[i].address + registered[i].bytes && registered[i].address < address + bytes) return 712;
  registered = realloc(registered, sizeof(Registered) * (size_t)(registeredCount + 1));
  registered[registeredCount++] = (Registered){address, bytes};
  return 0;
}

int memory_unregister(u64 address) {
  for (int i = 0; i < registeredCount; i++)
    if (registered[i].address == address) {
      registered[i] = registered[--registeredCount];
      return 0;
    }
  return 713;
}

int memory_registered(u64 address, u64 bytes) {
  const Range *r = memory_find(address, bytes);
  if (r) return r->device == -1;
  for (int i = 0; i < registeredCount; i++)
    if (address >= registered[i].address && address + bytes <= registered[i].address + registered[i].bytes) return 1;
  return 0;
}

void memory_tables(u64 *arenaOut, u64 *arenaBytes, const u32 **pagesOut, const Range **rangesOut) {
  reserve();
  *arenaOut = arena;
  *arenaBytes = arenaPages * PAGE;
  *pagesOut = pages;
  *rangesOut = ranges;
}
