// What the driver and a translated kernel share: the state of one GPU thread, and the functions
// that a kernel calls back.

#ifndef SOFTWARE_CUDA_DEVICE_H
#define SOFTWARE_CUDA_DEVICE_H

#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

// Generic addresses: global memory has the host's own addresses, the other spaces a tag in the
// top byte over an offset.
#define SHARED_TAG 0x5aull
#define LOCAL_TAG 0x5bull
#define PARAM_TAG 0x5cull
#define TAG_SHIFT 56

// Offsets into shared and local memory start here, so that a null pointer is never valid.
#define SPACE_START 64

enum Access { READ = 0, WRITE = 1, ATOMIC = 2 };

// What the lanes of a warp do together.
enum Collective {
  WARP_SYNC,
  SHFL_UP, SHFL_DOWN, SHFL_BFLY, SHFL_IDX,
  VOTE_ALL, VOTE_ANY, VOTE_UNI, VOTE_BALLOT,
  MATCH_ANY_32, MATCH_ANY_64, MATCH_ALL_32, MATCH_ALL_64,
  REDUX_ADD, REDUX_MIN_U32, REDUX_MAX_U32, REDUX_MIN_S32, REDUX_MAX_S32,
  REDUX_AND, REDUX_OR, REDUX_XOR,
  LDMATRIX_X1, LDMATRIX_X2, LDMATRIX_X4,
  LDMATRIX_TRANS_X1, LDMATRIX_TRANS_X2, LDMATRIX_TRANS_X4,
  MMA_16816_F16, MMA_16816_BF16, MMA_1688_F16, MMA_1688_BF16, MMA_1688_TF32, MMA_1684_TF32,
  MMA_16816_F16_F16, MMA_1688_F16_F16
};

enum BarrierReduction { BARRIER_NONE, BARRIER_POPC, BARRIER_AND, BARRIER_OR };

// One allocation of device memory, or of host memory that the device may use: [lo, hi).
typedef struct Range {
  u64 lo, hi;
  int device;   // -1: host memory
  int order;    // number of the allocation, for messages
} Range;

typedef struct Thread Thread;

typedef struct Runtime {
  // Memory by page of the arena: pages[(address - arena) >> 12] is an index into ranges, 0 where
  // nothing is allocated.
  u64 arena, arena_bytes;
  const u32 *pages;
  const Range *ranges;
  s64 fuel;      // memory accesses until the running thread is preempted
  int races;     // whether shared accesses are checked for races
  int device;    // the device that runs
  void *(*global_slow)(Thread *, u64 address, u32 bytes, int line);
  void (*fault)(Thread *, int line, int result, const char *what, u64 address, u32 bytes)
      __attribute__((noreturn));
  void (*preempt)(Thread *);
  void (*race)(Thread *, u32 offset, u32 bytes, int access, int line);
  u32 (*barrier)(Thread *, int line, u32 id, u32 threads, int reduction, u32 predicate);
  void (*collective)(Thread *, int line, int op, u32 mask, const u32 *in, u32 *out);
  void (*async_copy)(Thread *, int line, u32 destination, u64 source, u32 bytes, u32 source_bytes);
  void (*async_commit)(Thread *);
  void (*async_wait)(Thread *, u32 groups);
  u32 (*print)(Thread *, int line, u64 format, u64 arguments);
  void (*assert_fail)(Thread *, int line, u64 message, u64 file, u32 source_line, u64 function)
      __attribute__((noreturn));
} Runtime;

typedef struct Block {
  u32 ctaid[3], nctaid[3], ntid[3];
  u8 *shared;              // shared memory; offsets start at SPACE_START
  const u8 *shared_valid;  // one byte per byte: 0 in the gaps between variables
  u32 shared_bytes;
  u32 shared_dynamic;
  u32 shared_total;        // what a kernel sees in %total_smem_size
  const u32 *shared_at;    // offset of each shared variable of the module
  const u64 *global_at;    // address of each global or constant variable of the module
  const u8 *param;
  u32 param_bytes;
  u64 number;
} Block;

struct Thread {
  Runtime *rt;
  Block *block;
  u32 tid[3];
  u32 index, lane, warp;
  u32 carry;               // the condition code of add.cc and its kin
  u8 *local;               // local memory; [SPACE_START, local_top) is in use
  u32 local_top, local_bytes;
};

typedef void (*Kernel)(Thread *);

#endif
