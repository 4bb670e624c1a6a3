// The driver's objects, and what its files share.

#ifndef SOFTWARE_CUDA_DRIVER_H
#define SOFTWARE_CUDA_DRIVER_H

#include "execute.h"
#include "memory.h"
#include "settings.h"

#include <stddef.h>

#define API __attribute__((visibility("default")))

typedef int CUresult;
typedef int CUdevice;
typedef u64 CUdeviceptr;

enum {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_INVALID_VALUE = 1,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CUDA_ERROR_NOT_INITIALIZED = 3,
  CUDA_ERROR_NO_DEVICE = 100,
  CUDA_ERROR_INVALID_DEVICE = 101,
  CUDA_ERROR_INVALID_IMAGE = 200,
  CUDA_ERROR_INVALID_CONTEXT = 201,
  CUDA_ERROR_NO_BINARY_FOR_GPU = 209,
  CUDA_ERROR_INVALID_PTX = 218,
  CUDA_ERROR_UNSUPPORTED_PTX_VERSION = 222,
  CUDA_ERROR_INVALID_HANDLE = 400,
  CUDA_ERROR_ILLEGAL_STATE = 401,
  CUDA_ERROR_NOT_FOUND = 500,
  CUDA_ERROR_NOT_READY = 600,
  CUDA_ERROR_ILLEGAL_ADDRESS = 700,
  CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES = 701,
  CUDA_ERROR_LAUNCH_TIMEOUT = 702,
  CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE = 708,
  CUDA_ERROR_CONTEXT_IS_DESTROYED = 709,
  CUDA_ERROR_ASSERT = 710,
  CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED = 712,
  CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED = 713,
  CUDA_ERROR_MISALIGNED_ADDRESS = 716,
  CUDA_ERROR_LAUNCH_FAILED = 719,
  CUDA_ERROR_NOT_SUPPORTED = 801,
  CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900,
  CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901,
  CUDA_ERROR_STREAM_CAPTURE_UNMATCHED = 903,
  CUDA_ERROR_STREAM_CAPTURE_UNJOINED = 904,
  CUDA_ERROR_STREAM_CAPTURE_IMPLICIT = 906,
  CUDA_ERROR_CAPTURED_EVENT = 907,
  CUDA_ERROR_UNKNOWN = 999,
};

typedef struct Module {
  u32 magic;
  struct Context *context;
  Ptx *ptx;
  u64 *globals;                 // addresses of ptx->variables
  struct KernelFunction **functions;
  int functionCount;
} Module;

// What CUfunction points to.
typedef struct KernelFunction {
  u32 magic;
  Module *module;
  Function *function;
  Translation translation;
  Kernel kernel;                // null in count mode
  u32 maxDynamicShared;
} KernelFunction;

// A moment in a stream: what an event records and another stream waits for.
typedef struct Mark {
  int references;
  int done;
  int queued;
  double millis;
  struct Stream *stream;
  struct Graph *captured;       // recorded while capturing: only good within that capture
} Mark;

typedef struct Event {
  u32 magic;
  struct Context *context;
  int timing;
  Mark *mark;
} Event;

enum OperationKind { OP_LAUNCH, OP_COPY, OP_FILL, OP_RECORD, OP_WAIT, OP_HOST, OP_CALL, OP_GRAPH };

typedef struct Operation {
  enum OperationKind kind;
  struct Operation *next;
  // OP_LAUNCH
  KernelFunction *function;
  u32 grid[3], block[3], shared;
  u8 *param;
  // OP_COPY (either side may be host memory), OP_FILL
  u64 to, from, bytes;
  int toHost, fromHost;
  u8 *staged;                   // the source, copied when the call was made
  u32 value, width;
  // OP_RECORD, OP_WAIT
  Mark *mark;
  // OP_HOST: a function of the program. OP_CALL: of cuBLAS, with its own copy of the arguments.
  void (*host)(void *);
  int (*call)(const void *);
  void *arguments;
  size_t argumentBytes;
  const char *name;
  // OP_GRAPH
  struct Graph *graph;
} Operation;

typedef struct Graph {
  u32 magic;
  int references;
  Operation *first, *last;
  int count;
} Graph;

typedef struct Stream {
  u32 magic;
  struct Context *context;
  int number;
  int blocking;                 // ordered with the legacy stream
  int priority;
  Operation *first, *last;
  int length;
  Graph *capture;               // what it records into
  int captureMode, captureOrigin, captureJoined, captureInvalid;
  u64 captureThread;
  struct Stream *nextOfContext;
} Stream;

typedef struct Context {
  u32 magic;
  CUdevice device;
  int references;               // of a primary context
  int primary;
  CUresult error;               // stays until the context ends
  Stream legacy;
  Stream *streams;
  u64 id;
} Context;

extern Context *primaries[8];

// ---- driver.c ----

void lock(void);
void unlock(void);
Context *current_context(void);
// Says why a call is refused, on standard error and for softwareCudaMessage; returns `result`.
CUresult refused(CUresult result, const char *call, const char *format, ...) __attribute__((format(printf, 3, 4)));
// One line of JSON in SOFTWARE_CUDA_LOG: the fields after {"op":"name"
void record(const char *op, const char *format, ...) __attribute__((format(printf, 2, 3)));
int recording(void);
u32 device_shared_optin(void);

#define MAGIC_CONTEXT 0xc0de0001u
#define MAGIC_STREAM 0xc0de0002u
#define MAGIC_EVENT 0xc0de0003u
#define MAGIC_MODULE 0xc0de0004u
#define MAGIC_FUNCTION 0xc0de0005u
#define MAGIC_GRAPH 0xc0de0006u
#define MAGIC_EXEC 0xc0de0007u

// ---- streams.c ----

CUresult context_synchronize(Context *context, const char *call);
void context_drop_work(Context *context);
// Refuses what a capture of this thread forbids (allocation, synchronisation).
CUresult capture_forbids(Context *context, const char *call);

#endif
