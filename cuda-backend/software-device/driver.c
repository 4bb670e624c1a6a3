// Devices, contexts, modules, functions, memory calls, errors and settings.

#include "driver.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dlfcn.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEVICE_NAME "software CUDA (test only)"

Settings settings;
Context *primaries[8];

static pthread_mutex_t mutex;
static int initialized;
static char lastMessage[2048];
static FILE *logFile;
static u64 contexts;
static int substituted;   // modules that settings.substitute has taken the place of
static int liveContexts[8];
static __thread Context *stack[64];
static __thread int depth;

// ---- settings ----

static u64 randomState = 1;

u64 random_next(void) {
  randomState ^= randomState << 13;
  randomState ^= randomState >> 7;
  randomState ^= randomState << 17;
  return randomState * 0x2545f4914f6cdd1dull;
}

u32 random_below(u32 n) { return (u32)((random_next() >> 32) * n >> 32); }

void random_seed(u64 seed) {
  randomState = seed * 0x9e3779b97f4a7c15ull + 1;
  if (!randomState) randomState = 1;
}

static int choice(const char *value, const char *const *names) {
  for (int i = 0; names[i]; i++)
    if (!strcmp(value, names[i])) return i;
  return -1;
}

static u64 bytes_of(const char *value) {
  char *end;
  u64 v = strtoull(value, &end, 0);
  switch (*end) {
    case 'k': case 'K': return v << 10;
    case 'm': case 'M': return v << 20;
    case 'g': case 'G': return v << 30;
    default: return v;
  }
}

static int set(const char *name, const char *value) {
  int n;
  if (!strcasecmp(name, "CAPABILITY")) return sscanf(value, "%d.%d", &settings.major, &settings.minor) == 2;
  if (!strcasecmp(name, "DEVICES")) return (settings.devices = atoi(value)) >= 0 && settings.devices <= 8;
  if (!strcasecmp(name, "DRIVER")) {
    int major, minor;
    if (sscanf(value, "%d.%d", &major, &minor) != 2) return 0;
    settings.driverVersion = major * 1000 + minor * 10;
    return 1;
  }
  if (!strcasecmp(name, "MEMORY")) return (settings.memory = bytes_of(value)) > 0;
  if (!strcasecmp(name, "ORDER")) {
    if ((n = choice(value, (const char *const[]){"forward", "reverse", "random", NULL})) < 0) return 0;
    settings.order = (enum Order)n;
    return 1;
  }
  if (!strcasecmp(name, "STREAMS")) {
    if ((n = choice(value, (const char *const[]){"lazy", "eager", "random", NULL})) < 0) return 0;
    settings.streams = (enum Streams)n;
    return 1;
  }
  if (!strcasecmp(name, "SEED")) {
    settings.seed = strtoull(value, NULL, 0);
    random_seed(settings.seed);
    return 1;
  }
  if (!strcasecmp(name, "PREEMPT")) return (settings.preempt = atoi(value)) >= 0;
  if (!strcasecmp(name, "RACES")) { settings.races = atoi(value); return 1; }
  if (!strcasecmp(name, "COUNT")) { settings.count = atoi(value); return 1; }
  if (!strcasecmp(name, "QUIET")) { settings.quiet = atoi(value); return 1; }
  if (!strcasecmp(name, "TIMEOUT")) return (settings.timeoutSeconds = atoi(value)) > 0;
  if (!strcasecmp(name, "CACHE")) { snprintf(settings.cache, sizeof settings.cache, "%s", value); return 1; }
  if (!strcasecmp(name, "SUBSTITUTE")) { snprintf(settings.substitute, sizeof settings.substitute, "%s", value); substituted = 0; return 1; }
  if (!strcasecmp(name, "LOG")) {
    if (logFile) fclose(logFile);
    logFile = *value ? fopen(value, "a") : NULL;
    return !*value || logFile;
  }
  return 0;
}

static void defaults(void) {
  settings = (Settings){.major = 8, .minor = 0, .devices = 1, .driverVersion = 12090, .memory = 8ull << 30, .seed = 1, .timeoutSeconds = 300};
  snprintf(settings.cache, sizeof settings.cache, "/tmp/software-cuda-%u", (unsigned)getuid());
  random_seed(1);
  if (logFile) fclose(logFile);
  logFile = NULL;
  static const char *const NAMES[] = {"CAPABILITY", "DEVICES", "DRIVER", "MEMORY", "ORDER", "STREAMS", "SEED", "PREEMPT", "RACES", "COUNT", "QUIET", "TIMEOUT", "CACHE", "SUBSTITUTE", "LOG"};
  for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
    char variable[64];
    snprintf(variable, sizeof variable, "SOFTWARE_CUDA_%s", NAMES[i]);
    const char *value = getenv(variable);
    if (value && !set(NAMES[i], value)) {
      fprintf(stderr, "software CUDA: %s=%s is not understood\n", variable, value);
      exit(2);
    }
  }
}

__attribute__((constructor)) static void load(void) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init(&mutex, &attributes);
  defaults();
}

// For tests within one process: a setting without its prefix, or "RESET" to the environment's.
// 0 where it is not understood.
API int softwareCudaSet(const char *name, const char *value);
API int softwareCudaSet(const char *name, const char *value) {
  lock();
  int ok = 1;
  if (!strcmp(name, "RESET")) defaults();
  else ok = set(name, value);
  unlock();
  return ok;
}

// Why the last call was refused, or what the last fault was.
API const char *softwareCudaMessage(void);
API const char *softwareCudaMessage(void) { return lastMessage; }

// How many modules SOFTWARE_CUDA_SUBSTITUTE has taken the place of.
API int softwareCudaSubstituted(void);
API int softwareCudaSubstituted(void) { return substituted; }

// ---- messages and the log ----

void lock(void) { pthread_mutex_lock(&mutex); }
void unlock(void) { pthread_mutex_unlock(&mutex); }

CUresult refused(CUresult result, const char *call, const char *format, ...) {
  char what[1800];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  snprintf(lastMessage, sizeof lastMessage, "%s: %s", call, what);
  if (!settings.quiet) fprintf(stderr, "software CUDA: %s\n", lastMessage);
  record("error", "\"call\":\"%s\",\"result\":%d", call, result);
  return result;
}

int recording(void) { return logFile != NULL; }

void record(const char *op, const char *format, ...) {
  if (!logFile) return;
  fprintf(logFile, "{\"op\":\"%s\"", op);
  if (*format) fputc(',', logFile);
  va_list arguments;
  va_start(arguments, format);
  vfprintf(logFile, format, arguments);
  va_end(arguments);
  fputs("}\n", logFile);
  fflush(logFile);
}

static const struct { CUresult code; const char *name, *text; } ERRORS[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {218, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain"},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {401, "CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {702, "CUDA_ERROR_LAUNCH_TIMEOUT", "the launch timed out and was terminated"},
    {708, "CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE", "cannot set while device is active in this process"},
    {709, "CUDA_ERROR_CONTEXT_IS_DESTROYED", "context is destroyed"},
    {710, "CUDA_ERROR_ASSERT", "device-side assert triggered"},
    {712, "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED", "part or all of the requested memory range is already mapped"},
    {713, "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED", "pointer does not correspond to a registered memory region"},
    {716, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
    {903, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not ended in the same stream as it began"},
    {904, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capturing stream has unjoined work"},
    {906, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "operation would make the legacy stream depend on a capturing blocking stream"},
    {907, "CUDA_ERROR_CAPTURED_EVENT", "operation not permitted on an event last recorded in a capturing stream"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

API CUresult cuGetErrorName(CUresult error, const char **out) {
  for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++)
    if (ERRORS[i].code == error) return *out = ERRORS[i].name, CUDA_SUCCESS;
  *out = NULL;
  return CUDA_ERROR_INVALID_VALUE;
}

API CUresult cuGetErrorString(CUresult error, const char **out) {
  for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++)
    if (ERRORS[i].code == error) return *out = ERRORS[i].text, CUDA_SUCCESS;
  *out = NULL;
  return CUDA_ERROR_INVALID_VALUE;
}

// Every call takes the lock; the cleanup attribute gives it back.
static void leave(int *held) { if (*held) unlock(); }
#define ENTER() __attribute__((cleanup(leave))) int held_ = (lock(), 1); if (!initialized) return CUDA_ERROR_NOT_INITIALIZED
#define ENTER_CONTEXT(c)                                                                  \
  ENTER();                                                                                \
  Context *c = current_context();                                                         \
  if (!c) return refused(CUDA_ERROR_INVALID_CONTEXT, __func__, "no context is current on this thread"); \
  if (c->error) return c->error

// ---- devices ----

API CUresult cuInit(unsigned flags) {
  if (flags) return CUDA_ERROR_INVALID_VALUE;
  lock();
  initialized = settings.devices > 0;
  record("init", "\"devices\":%d", settings.devices);
  unlock();
  return initialized ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE;
}

API CUresult cuDriverGetVersion(int *version) {
  if (!version) return CUDA_ERROR_INVALID_VALUE;
  *version = settings.driverVersion;
  return CUDA_SUCCESS;
}

// NVRTC asks the driver for internal tables if it finds one, and does without where there are none.
API CUresult cuGetExportTable(const void **table, const void *id) {
  (void)id;
  if (table) *table = NULL;
  return CUDA_ERROR_NOT_FOUND;
}

API CUresult cuDeviceGetCount(int *count) {
  ENTER();
  *count = settings.devices;
  return CUDA_SUCCESS;
}

API CUresult cuDeviceGet(CUdevice *device, int ordinal) {
  ENTER();
  if (ordinal < 0 || ordinal >= settings.devices) return CUDA_ERROR_INVALID_DEVICE;
  *device = ordinal;
  return CUDA_SUCCESS;
}

#define CHECK_DEVICE(d) if ((d) < 0 || (d) >= settings.devices) return CUDA_ERROR_INVALID_DEVICE

API CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
  ENTER();
  CHECK_DEVICE(device);
  if (length <= 0) return CUDA_ERROR_INVALID_VALUE;
  snprintf(name, (size_t)length, "%s", DEVICE_NAME);
  return CUDA_SUCCESS;
}

API CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
  ENTER();
  CHECK_DEVICE(device);
  *bytes = settings.memory;
  return CUDA_SUCCESS;
}

API CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device) {
  ENTER();
  CHECK_DEVICE(device);
  *major = settings.major;
  *minor = settings.minor;
  return CUDA_SUCCESS;
}

API CUresult cuDeviceGetUuid(u8 *uuid, CUdevice device) {
  ENTER();
  CHECK_DEVICE(device);
  memset(uuid, 0, 16);
  memcpy(uuid, "software", 8);
  uuid[15] = (u8)device;
  return CUDA_SUCCESS;
}

API CUresult cuDeviceGetPCIBusId(char *id, int length, CUdevice device) {
  ENTER();
  CHECK_DEVICE(device);
  snprintf(id, (size_t)length, "0000:%02x:00.0", device + 1);
  return CUDA_SUCCESS;
}

API CUresult cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer) {
  ENTER();
  CHECK_DEVICE(device);
  CHECK_DEVICE(peer);
  *can = 0;
  return CUDA_SUCCESS;
}

// Bytes of shared memory of a multiprocessor, and of a block that opts in: CUDA programming guide, table "Technical specifications per compute capability".
static u32 device_shared(void) {
  switch (settings.major * 10 + settings.minor) {
    case 70: case 72: return 96 << 10;
    case 75: return 64 << 10;
    case 80: case 87: return 164 << 10;
    case 86: case 89: case 120: case 121: return 100 << 10;
    default: return settings.major >= 9 ? 228 << 10 : 96 << 10;
  }
}
static u32 device_reserved(void) { return settings.major >= 8 ? 1024 : 0; }
u32 device_shared_optin(void) { return device_shared() - device_reserved(); }
static int threads_per_multiprocessor(void) {
  switch (settings.major * 10 + settings.minor) {
    case 75: return 1024;
    case 86: case 87: case 89: case 120: case 121: return 1536;
    default: return 2048;
  }
}
static int blocks_per_multiprocessor(void) {
  switch (settings.major * 10 + settings.minor) {
    case 75: case 86: case 87: return 16;
    case 89: case 120: case 121: return 24;
    default: return 32;
  }
}

API CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
  ENTER();
  CHECK_DEVICE(device);
  switch (attribute) {
    case 1: *value = 1024; break;                 // threads per block
    case 2: case 3: *value = 1024; break;         // block dimensions
    case 4: *value = 64; break;
    case 5: *value = 0x7fffffff; break;           // grid dimensions
    case 6: case 7: *value = 65535; break;
    case 8: *value = 48 << 10; break;             // shared memory per block
    case 9: *value = 64 << 10; break;             // constant memory
    case 10: *value = 32; break;                  // warp size
    case 11: *value = 0x7fffffff; break;          // pitch
    case 12: *value = 65536; break;               // registers per block
    case 13: *value = 1000000; break;             // clock, kHz
    case 14: *value = 512; break;                 // texture alignment
    case 15: *value = 1; break;                   // overlap of copies and kernels
    case 16: *value = 4; break;                   // multiprocessors
    case 17: *value = 0; break;                   // time limit
    case 18: *value = 0; break;                   // integrated
    case 19: *value = 1; break;                   // can map host memory
    case 20: *value = 0; break;                   // compute mode
    case 31: *value = 1; break;                   // concurrent kernels
    case 32: *value = 0; break;                   // ECC
    case 33: *value = device + 1; break;          // PCI bus
    case 34: *value = 0; break;                   // PCI device
    case 35: *value = 0; break;                   // TCC driver
    case 36: *value = 1000000; break;             // memory clock, kHz
    case 37: *value = 128; break;                 // memory bus, bits
    case 38: *value = 4 << 20; break;             // L2 cache
    case 39: *value = threads_per_multiprocessor(); break;
    case 40: *value = 2; break;                   // copy engines
    case 41: *value = 1; break;                   // unified addresses
    case 50: *value = 0; break;                   // PCI domain
    case 75: *value = settings.major; break;
    case 76: *value = settings.minor; break;
    case 78: *value = 1; break;                   // stream priorities
    case 79: case 80: *value = 1; break;          // L1 caches
    case 81: *value = (int)device_shared(); break;
    case 82: *value = 65536; break;               // registers per multiprocessor
    case 83: *value = 0; break;                   // managed memory
    case 84: *value = 0; break;                   // multi-GPU board
    case 97: *value = (int)device_shared_optin(); break;
    case 106: *value = blocks_per_multiprocessor(); break;
    case 111: *value = (int)device_reserved(); break;
    case 115: *value = 0; break;                  // memory pools
    default: *value = 0;
  }
  return CUDA_SUCCESS;
}

// ---- contexts ----

Context *current_context(void) { return depth ? stack[depth - 1] : NULL; }

static Context *context_new(CUdevice device, int primary) {
  Context *c = calloc(1, sizeof *c);
  *c = (Context){.magic = MAGIC_CONTEXT, .device = device, .primary = primary, .id = ++contexts};
  liveContexts[device]++;
  c->legacy = (Stream){.magic = MAGIC_STREAM, .context = c, .blocking = 1};
  return c;
}

// The memory of a destroyed context stays, so that its handles are recognised.
static void context_end(Context *c) {
  context_drop_work(c);
  if (--liveContexts[c->device] == 0) memory_free_all(c->device);
  c->magic = 0;
  if (primaries[c->device] == c) primaries[c->device] = NULL;
  for (int i = 0; i < depth; i++)
    if (stack[i] == c) {
      memmove(stack + i, stack + i + 1, sizeof *stack * (size_t)(depth - i - 1));
      depth--;
      i--;
    }
}

API CUresult cuDevicePrimaryCtxRetain(Context **out, CUdevice device) {
  ENTER();
  CHECK_DEVICE(device);
  if (!primaries[device]) primaries[device] = context_new(device, 1);
  primaries[device]->references++;
  *out = primaries[device];
  return CUDA_SUCCESS;
}

API CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  ENTER();
  CHECK_DEVICE(device);
  Context *c = primaries[device];
  if (!c) return refused(CUDA_ERROR_INVALID_CONTEXT, __func__, "the primary context is not retained");
  if (--c->references == 0) {
    context_synchronize(c, __func__);
    context_end(c);
  }
  return CUDA_SUCCESS;
}

API CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
  ENTER();
  CHECK_DEVICE(device);
  if (primaries[device]) context_end(primaries[device]);
  return CUDA_SUCCESS;
}

API CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags) {
  ENTER();
  CHECK_DEVICE(device);
  (void)flags;
  return CUDA_SUCCESS;
}

API CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active) {
  ENTER();
  CHECK_DEVICE(device);
  *flags = 0;
  *active = primaries[device] != NULL;
  return CUDA_SUCCESS;
}

API CUresult cuCtxCreate_v2(Context **out, unsigned flags, CUdevice device) {
  ENTER();
  CHECK_DEVICE(device);
  (void)flags;
  if (depth == 64) return CUDA_ERROR_INVALID_VALUE;
  *out = stack[depth++] = context_new(device, 0);
  return CUDA_SUCCESS;
}

API CUresult cuCtxDestroy_v2(Context *c) {
  ENTER();
  if (!c || c->magic != MAGIC_CONTEXT || c->primary) return CUDA_ERROR_INVALID_CONTEXT;
  context_synchronize(c, __func__);
  context_end(c);
  return CUDA_SUCCESS;
}

API CUresult cuCtxPushCurrent_v2(Context *c) {
  ENTER();
  if (!c || c->magic != MAGIC_CONTEXT || depth == 64) return CUDA_ERROR_INVALID_CONTEXT;
  stack[depth++] = c;
  return CUDA_SUCCESS;
}

API CUresult cuCtxPopCurrent_v2(Context **out) {
  ENTER();
  if (!depth) return CUDA_ERROR_INVALID_CONTEXT;
  Context *c = stack[--depth];
  if (out) *out = c;
  return CUDA_SUCCESS;
}

API CUresult cuCtxSetCurrent(Context *c) {
  ENTER();
  if (c && c->magic != MAGIC_CONTEXT) return refused(CUDA_ERROR_INVALID_CONTEXT, __func__, "no live context");
  if (!c) {
    if (depth) depth--;
  } else if (depth) {
    stack[depth - 1] = c;
  } else {
    stack[depth++] = c;
  }
  return CUDA_SUCCESS;
}

API CUresult cuCtxGetCurrent(Context **out) {
  ENTER();
  *out = current_context();
  return CUDA_SUCCESS;
}

API CUresult cuCtxGetDevice(CUdevice *device) {
  ENTER();
  Context *c = current_context();
  if (!c) return CUDA_ERROR_INVALID_CONTEXT;
  *device = c->device;
  return CUDA_SUCCESS;
}

API CUresult cuCtxGetApiVersion(Context *c, unsigned *version) {
  ENTER();
  (void)c;
  *version = 3020;
  return CUDA_SUCCESS;
}

API CUresult cuCtxGetFlags(unsigned *flags) {
  ENTER();
  *flags = 0;
  return current_context() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

API CUresult cuCtxGetId(Context *c, unsigned long long *id) {
  ENTER();
  if (!c) c = current_context();
  if (!c) return CUDA_ERROR_INVALID_CONTEXT;
  *id = c->id;
  return CUDA_SUCCESS;
}

API CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) {
  ENTER();
  if (least) *least = 0;
  if (greatest) *greatest = -5;
  return CUDA_SUCCESS;
}

API CUresult cuCtxSetLimit(int limit, size_t value) {
  ENTER_CONTEXT(c);
  (void)limit;
  (void)value;
  return CUDA_SUCCESS;
}

API CUresult cuCtxGetLimit(size_t *value, int limit) {
  ENTER_CONTEXT(c);
  *value = limit == 0 ? 1024 : 8 << 20;
  return CUDA_SUCCESS;
}

API CUresult cuCtxSetCacheConfig(int config) {
  ENTER_CONTEXT(c);
  (void)config;
  return CUDA_SUCCESS;
}

API CUresult cuCtxSynchronize(void) {
  ENTER_CONTEXT(c);
  record("synchronize", "\"what\":\"context\"");
  return context_synchronize(c, __func__);
}

// ---- modules ----

static u64 fnv(u64 hash, const void *data, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) hash = (hash ^ ((const u8 *)data)[i]) * 0x100000001b3ull;
  return hash;
}

static u64 hash_file(u64 hash, const char *path) {
  FILE *f = fopen(path, "r");
  char part[4096];
  size_t n;
  if (!f) return hash;
  while ((n = fread(part, 1, sizeof part, f))) hash = fnv(hash, part, n);
  fclose(f);
  return hash;
}

// Compiles a translated kernel, or finds it compiled. 0, or why not.
static int compile(KernelFunction *f, char *error, size_t errorBytes) {
  static const char FLAGS[] = "-O1 -fPIC -shared -w -std=gnu11 -fwrapv -fno-strict-aliasing -ffp-contract=off -fno-math-errno -fno-stack-protector";
  const char *fma = __builtin_cpu_supports("fma") ? "-mfma" : "";
  const Text *code = &f->translation.code;
  u64 hash[2] = {0xcbf29ce484222325ull, 0x84222325cbf29ce4ull};
  for (int i = 0; i < 2; i++) {
    hash[i] = fnv(hash[i], code->data, code->length);
    hash[i] = fnv(hash[i], FLAGS, sizeof FLAGS);
    hash[i] = fnv(hash[i], fma, strlen(fma));
    hash[i] = hash_file(hash[i], SOURCE_FOLDER "/device.h");
    hash[i] = hash_file(hash[i], SOURCE_FOLDER "/ptx_ops.h");
  }
  char base[640], object[700], source[700], temporary[700], log[700], command[4096];
  mkdir(settings.cache, 0777);
  snprintf(base, sizeof base, "%s/%016llx%016llx", settings.cache, (unsigned long long)hash[0], (unsigned long long)hash[1]);
  snprintf(object, sizeof object, "%s.so", base);
  if (access(object, R_OK)) {
    snprintf(source, sizeof source, "%s.%d.c", base, (int)getpid());
    snprintf(temporary, sizeof temporary, "%s.%d.so", base, (int)getpid());
    snprintf(log, sizeof log, "%s.%d.log", base, (int)getpid());
    FILE *out = fopen(source, "w");
    if (!out || fwrite(code->data, 1, code->length, out) != code->length || fclose(out)) {
      snprintf(error, errorBytes, "cannot write %s: %s", source, strerror(errno));
      return -1;
    }
    const char *compiler = getenv("CC");
    snprintf(command, sizeof command, "%s %s %s -I'%s' '%s' -o '%s' -lm >'%s' 2>&1", compiler && *compiler ? compiler : "gcc", FLAGS, fma, SOURCE_FOLDER, source, temporary, log);
    if (system(command)) {
      char text[512] = "";
      FILE *in = fopen(log, "r");
      if (in) {
        size_t n = fread(text, 1, sizeof text - 1, in);
        text[n] = 0;
        fclose(in);
      }
      snprintf(error, errorBytes, "the translation of kernel `%s` does not compile (%s): %s", f->function->name, source, text);
      return -1;
    }
    unlink(log);
    unlink(source);
    if (rename(temporary, object)) {
      snprintf(error, errorBytes, "cannot write %s: %s", object, strerror(errno));
      return -1;
    }
  }
  void *library = dlopen(object, RTLD_NOW | RTLD_LOCAL);
  void *symbol = library ? dlsym(library, "kernel") : NULL;
  if (!symbol) {
    snprintf(error, errorBytes, "%s", dlerror());
    return -1;
  }
  memcpy(&f->kernel, &symbol, sizeof symbol);
  return 0;
}

// The text of settings.substitute if it begins with the same kernel as `image`, or null.
static char *substitute(const char *image) {
  char *text = NULL, one[512] = "", two[512] = "";
  size_t bytes = 0;
  FILE *f = settings.substitute[0] ? fopen(settings.substitute, "r") : NULL;
  if (!f) return NULL;
  ssize_t read = getdelim(&text, &bytes, 0, f);
  fclose(f);
  const char *entry = strstr(image, ".entry "), *otherEntry = read > 0 ? strstr(text, ".entry ") : NULL;
  if (entry) sscanf(entry, ".entry %511[^( \t\n]", one);
  if (otherEntry) sscanf(otherEntry, ".entry %511[^( \t\n]", two);
  if (one[0] && !strcmp(one, two)) {
    substituted++;
    return text;
  }
  free(text);
  return NULL;
}

static CUresult load_module(Module **out, const char *image, const char *call) {
  ENTER_CONTEXT(c);
  if (!out || !image) return CUDA_ERROR_INVALID_VALUE;
  u32 magic;
  memcpy(&magic, image, 4);
  if (magic == 0x464c457fu || magic == 0xba55ed50u) {
    // No complaint: programs try a binary first.
    snprintf(lastMessage, sizeof lastMessage, "%s: a binary; this device runs PTX only", call);
    return CUDA_ERROR_NO_BINARY_FOR_GPU;
  }
  char error[1024];
  char *other = substitute(image);
  Ptx *ptx = ptx_parse(other ? other : image, error, sizeof error);
  free(other);
  if (!ptx) return refused(CUDA_ERROR_INVALID_PTX, call, "%s", error);
  // PTX 8.0 came with CUDA 12.0, 9.0 with 13.0.
  int newest = settings.driverVersion / 1000 == 12 ? 80 + settings.driverVersion / 10 % 10 - (settings.driverVersion >= 12060 ? 1 : 0) : settings.driverVersion / 1000 == 11 ? 70 + settings.driverVersion / 10 % 10 : 90 + settings.driverVersion / 10 % 10;
  if (ptx->versionMajor * 10 + ptx->versionMinor > newest)
    return refused(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, call, "PTX %d.%d, newer than the %d.%d of this driver", ptx->versionMajor, ptx->versionMinor, newest / 10, newest % 10);
  if (ptx->target > settings.major * 10 + settings.minor)
    return refused(CUDA_ERROR_INVALID_PTX, call, "PTX for sm_%d on a device of capability %d.%d", ptx->target, settings.major, settings.minor);
  Module *m = calloc(1, sizeof *m);
  *m = (Module){.magic = MAGIC_MODULE, .context = c, .ptx = ptx, .globals = calloc((size_t)ptx->variableCount + 1, sizeof(u64))};
  for (int i = 0; i < ptx->variableCount; i++) {
    Variable *v = &ptx->variables[i];
    int result = memory_allocate(v->bytes ? v->bytes : 1, c->device, &m->globals[i]);
    if (result) return result;
    if (!settings.count || v->initial) {
      if (v->initial) memcpy((void *)m->globals[i], v->initial, v->bytes);
      else memset((void *)m->globals[i], 0, v->bytes);
    }
  }
  record("module", "\"kernels\":%d", ptx->functionCount);
  *out = m;
  return CUDA_SUCCESS;
}

API CUresult cuModuleLoadData(Module **out, const void *image) { return load_module(out, image, __func__); }

API CUresult cuModuleLoadDataEx(Module **out, const void *image, unsigned count, const int *options, void **values) {
  CUresult result = load_module(out, image, __func__);
  char *buffer = NULL;
  size_t bytes = 0;
  for (unsigned i = 0; i < count; i++) {
    if (options[i] == 5) buffer = values[i];              // CU_JIT_ERROR_LOG_BUFFER
    if (options[i] == 6) bytes = (size_t)values[i];       // its size
  }
  if (buffer && bytes) snprintf(buffer, bytes, "%s", result ? lastMessage : "");
  return result;
}

API CUresult cuModuleUnload(Module *m) {
  ENTER_CONTEXT(c);
  if (!m || m->magic != MAGIC_MODULE) return CUDA_ERROR_INVALID_HANDLE;
  CUresult result = context_synchronize(c, __func__);
  for (int i = 0; i < m->ptx->variableCount; i++) memory_free(m->globals[i], m->context->device);
  for (int i = 0; i < m->functionCount; i++) m->functions[i]->magic = 0;
  m->magic = 0;
  return result;
}

API CUresult cuModuleGetFunction(KernelFunction **out, Module *m, const char *name) {
  ENTER_CONTEXT(c);
  if (!m || m->magic != MAGIC_MODULE) return CUDA_ERROR_INVALID_HANDLE;
  Function *function = ptx_entry(m->ptx, name);
  if (!function) return refused(CUDA_ERROR_NOT_FOUND, __func__, "no kernel `%s` in the module", name);
  for (int i = 0; i < m->functionCount; i++)
    if (m->functions[i]->function == function) return *out = m->functions[i], CUDA_SUCCESS;
  KernelFunction *f = calloc(1, sizeof *f);
  *f = (KernelFunction){.magic = MAGIC_FUNCTION, .module = m, .function = function};
  if (ptx_translate(m->ptx, function, &f->translation)) return refused(CUDA_ERROR_NOT_SUPPORTED, __func__, "%s", m->ptx->error);
  char error[2048];
  if (!settings.count && compile(f, error, sizeof error)) return refused(CUDA_ERROR_NOT_SUPPORTED, __func__, "%s", error);
  u32 usual = 48 << 10;
  f->maxDynamicShared = f->translation.sharedStatic < usual ? usual - f->translation.sharedStatic : 0;
  m->functions = realloc(m->functions, sizeof *m->functions * (size_t)(m->functionCount + 1));
  m->functions[m->functionCount++] = f;
  *out = f;
  return CUDA_SUCCESS;
}

API CUresult cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes, Module *m, const char *name) {
  ENTER_CONTEXT(c);
  if (!m || m->magic != MAGIC_MODULE) return CUDA_ERROR_INVALID_HANDLE;
  for (int i = 0; i < m->ptx->variableCount; i++)
    if (!strcmp(m->ptx->variables[i].name, name)) {
      if (address) *address = m->globals[i];
      if (bytes) *bytes = m->ptx->variables[i].bytes;
      return CUDA_SUCCESS;
    }
  return CUDA_ERROR_NOT_FOUND;
}

API CUresult cuModuleGetLoadingMode(int *mode) {
  *mode = 1;
  return CUDA_SUCCESS;
}

// ---- functions ----

#define CHECK_FUNCTION(f) if (!(f) || (f)->magic != MAGIC_FUNCTION) return refused(CUDA_ERROR_INVALID_HANDLE, __func__, "no function of a loaded module")

API CUresult cuFuncGetAttribute(int *value, int attribute, KernelFunction *f) {
  ENTER_CONTEXT(c);
  CHECK_FUNCTION(f);
  switch (attribute) {
    case 0: *value = f->function->maxThreads ? (int)f->function->maxThreads : 1024; break;
    case 1: *value = (int)f->translation.sharedStatic; break;
    case 2: *value = 0; break;                                    // constant memory
    case 3: *value = (int)f->translation.localBytes; break;
    case 4: *value = 32; break;                                   // registers: not known here
    case 5: *value = f->module->ptx->versionMajor * 10 + f->module->ptx->versionMinor; break;
    case 6: *value = settings.major * 10 + settings.minor; break;
    case 7: *value = 0; break;
    case 8: *value = (int)f->maxDynamicShared; break;
    case 9: *value = -1; break;
    default: return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

API CUresult cuFuncSetAttribute(KernelFunction *f, int attribute, int value) {
  ENTER_CONTEXT(c);
  CHECK_FUNCTION(f);
  if (attribute == 9) return CUDA_SUCCESS;
  if (attribute != 8) return refused(CUDA_ERROR_INVALID_VALUE, __func__, "attribute %d cannot be set", attribute);
  if (value < 0 || (u32)value + f->translation.sharedStatic > device_shared_optin())
    return refused(CUDA_ERROR_INVALID_VALUE, __func__, "`%s`: %d bytes of dynamic shared memory beside %u static ones; the device has %u", f->function->name, value, f->translation.sharedStatic, device_shared_optin());
  f->maxDynamicShared = (u32)value;
  return CUDA_SUCCESS;
}

API CUresult cuFuncSetCacheConfig(KernelFunction *f, int config) {
  ENTER_CONTEXT(c);
  CHECK_FUNCTION(f);
  (void)config;
  return CUDA_SUCCESS;
}

API CUresult cuFuncGetModule(Module **out, KernelFunction *f) {
  ENTER_CONTEXT(c);
  CHECK_FUNCTION(f);
  *out = f->module;
  return CUDA_SUCCESS;
}

static int occupancy(KernelFunction *f, int threads, size_t dynamicShared) {
  u32 most = f->function->maxThreads ? f->function->maxThreads : 1024;
  if (threads <= 0 || (u32)threads > most || dynamicShared > f->maxDynamicShared) return 0;
  int blocks = blocks_per_multiprocessor(), byThreads = threads_per_multiprocessor() / ((threads + 31) / 32 * 32);
  size_t shared = f->translation.sharedStatic + dynamicShared + device_reserved();
  int byShared = shared ? (int)(device_shared() / shared) : blocks;
  if (byThreads < blocks) blocks = byThreads;
  return byShared < blocks ? byShared : blocks;
}

API CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, KernelFunction *f, int threads, size_t dynamicShared) {
  ENTER_CONTEXT(c);
  CHECK_FUNCTION(f);
  *blocks = occupancy(f, threads, dynamicShared);
  return CUDA_SUCCESS;
}

API CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, KernelFunction *f, int threads, size_t dynamicShared, unsigned flags) {
  (void)flags;
  return cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, f, threads, dynamicShared);
}

API CUresult cuOccupancyMaxPotentialBlockSize(int *grid, int *block, KernelFunction *f, size_t (*dynamic)(int), size_t dynamicShared, int limit) {
  ENTER_CONTEXT(c);
  CHECK_FUNCTION(f);
  int best = 0;
  u32 most = f->function->maxThreads ? f->function->maxThreads : 1024;
  if (limit <= 0 || (u32)limit > most) limit = (int)most;
  for (int threads = limit / 32 * 32; threads >= 32; threads -= 32) {
    int blocks = occupancy(f, threads, dynamic ? dynamic(threads) : dynamicShared);
    if (blocks * threads > best) best = blocks * threads, *block = threads, *grid = 4 * blocks;
  }
  return best ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

API CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t *bytes, KernelFunction *f, int blocks, int threads) {
  ENTER_CONTEXT(c);
  CHECK_FUNCTION(f);
  (void)threads;
  if (blocks <= 0) return CUDA_ERROR_INVALID_VALUE;
  u32 each = device_shared() / (u32)blocks, fixed = f->translation.sharedStatic + device_reserved();
  *bytes = each > fixed ? each - fixed : 0;
  return CUDA_SUCCESS;
}

// ---- memory ----

API CUresult cuMemGetInfo_v2(size_t *freeBytes, size_t *total) {
  ENTER_CONTEXT(c);
  *total = settings.memory;
  *freeBytes = settings.memory - memory_used(c->device);
  return CUDA_SUCCESS;
}

API CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
  ENTER_CONTEXT(c);
  CUresult result = capture_forbids(c, __func__);
  if (result) return result;
  result = memory_allocate(bytes, c->device, address);
  record("allocate", "\"bytes\":%zu,\"result\":%d", bytes, result);
  return result == CUDA_ERROR_INVALID_VALUE ? refused(result, __func__, "%zu bytes", bytes) : result;
}

// Waits for all work, as a real driver does.
API CUresult cuMemFree_v2(CUdeviceptr address) {
  ENTER_CONTEXT(c);
  if (!address) return CUDA_SUCCESS;
  CUresult result = capture_forbids(c, __func__);
  if (result) return result;
  result = context_synchronize(c, __func__);
  record("free", "\"address\":%llu", (unsigned long long)address);
  if (memory_free(address, c->device)) return refused(CUDA_ERROR_INVALID_VALUE, __func__, "0x%llx is no allocation of this device (freed twice, or not its start)", (unsigned long long)address);
  return result;
}

API CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *bytes, CUdeviceptr address) {
  ENTER_CONTEXT(c);
  const Range *r = memory_find(address, 1);
  if (!r) return CUDA_ERROR_NOT_FOUND;
  if (base) *base = r->lo;
  if (bytes) *bytes = r->hi - r->lo;
  return CUDA_SUCCESS;
}

API CUresult cuMemHostAlloc(void **out, size_t bytes, unsigned flags) {
  ENTER_CONTEXT(c);
  (void)flags;
  CUresult result = capture_forbids(c, __func__);
  if (result) return result;
  u64 address = 0;
  result = memory_allocate(bytes, -1, &address);
  *out = (void *)address;
  record("allocateHost", "\"bytes\":%zu,\"result\":%d", bytes, result);
  return result;
}

API CUresult cuMemAllocHost_v2(void **out, size_t bytes) { return cuMemHostAlloc(out, bytes, 0); }

API CUresult cuMemFreeHost(void *address) {
  ENTER_CONTEXT(c);
  CUresult result = context_synchronize(c, __func__);
  if (memory_free((u64)address, -1)) return refused(CUDA_ERROR_INVALID_VALUE, __func__, "%p is no allocation of pinned host memory", address);
  return result;
}

API CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *out, void *address, unsigned flags) {
  ENTER_CONTEXT(c);
  (void)flags;
  if (!memory_registered((u64)address, 1)) return CUDA_ERROR_INVALID_VALUE;
  *out = (u64)address;
  return CUDA_SUCCESS;
}

API CUresult cuMemHostRegister_v2(void *address, size_t bytes, unsigned flags) {
  ENTER_CONTEXT(c);
  (void)flags;
  return memory_register((u64)address, bytes);
}

API CUresult cuMemHostUnregister(void *address) {
  ENTER_CONTEXT(c);
  CUresult result = context_synchronize(c, __func__);
  int unregistered = memory_unregister((u64)address);
  return result ? result : unregistered;
}

API CUresult cuPointerGetAttribute(void *value, int attribute, CUdeviceptr address) {
  ENTER_CONTEXT(c);
  const Range *r = memory_find(address, 1);
  if (!r) return CUDA_ERROR_INVALID_VALUE;
  switch (attribute) {
    case 1: *(void **)value = c; break;
    case 2: *(unsigned *)value = r->device < 0 ? 1 : 2; break;      // memory type: host, device
    case 3: *(CUdeviceptr *)value = address; break;
    case 9: *(int *)value = r->device; break;
    default: return CUDA_ERROR_NOT_SUPPORTED;
  }
  return CUDA_SUCCESS;
}

// ---- what is looked up by name ----

API CUresult cuGetProcAddress_v2(const char *name, void **out, int version, u64 flags, int *status) {
  (void)version;
  (void)flags;
  char versioned[256];
  void *self = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  *out = NULL;
  for (int i = 3; i >= 0 && !*out && self; i--) {
    if (i) snprintf(versioned, sizeof versioned, "%s_v%d", name, i);
    else snprintf(versioned, sizeof versioned, "%s", name);
    *out = dlsym(self, versioned);
  }
  if (status) *status = *out ? 0 : 1;
  return *out ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

API CUresult cuGetProcAddress(const char *name, void **out, int version, u64 flags) {
  return cuGetProcAddress_v2(name, out, version, flags, NULL);
}
