// Streams, events, copies, launches and graphs. Work is queued and runs as late as CUDA's ordering
// rules allow: when the program waits for it.

#include "driver.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_LIMIT 4096   // a real queue is finite too: when full, its work runs

typedef struct GraphExec {
  u32 magic;
  Graph *graph;
} GraphExec;

static int streamNumber;

#define ENTER_CONTEXT(c)                                                                  \
  __attribute__((cleanup(leave))) int held_ = (lock(), 1);                                \
  Context *c = current_context();                                                         \
  if (!c) return refused(CUDA_ERROR_INVALID_CONTEXT, __func__, "no context is current on this thread"); \
  if (c->error) return c->error

static void leave(int *held) { if (*held) unlock(); }

static double now_millis(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static u64 this_thread(void) { return (u64)pthread_self(); }

// The stream that a handle means; null, 1 (legacy) and 2 (per thread) are the default stream.
static Stream *resolve(Context *c, Stream *s) {
  if (!s || s == (Stream *)1 || s == (Stream *)2) return &c->legacy;
  return s->magic == MAGIC_STREAM && s->context == c ? s : NULL;
}
#define RESOLVE(s) if (!(s = resolve(c, s))) return refused(CUDA_ERROR_INVALID_HANDLE, __func__, "no stream of the current context")

// ---- marks and operations ----

static void mark_release(Mark *m) {
  if (m && --m->references == 0) free(m);
}

static void graph_release(Graph *g);

static void operation_free(Operation *o) {
  free(o->param);
  free(o->staged);
  if (o->kind == OP_CALL) free(o->arguments);
  mark_release(o->mark);
  if (o->graph) graph_release(o->graph);
  free(o);
}

static void graph_release(Graph *g) {
  if (--g->references) return;
  for (Operation *o = g->first, *n; o; o = n) {
    n = o->next;
    operation_free(o);
  }
  free(g);
}

static void append(Stream *s, Operation *o) {
  o->next = NULL;
  if (s->last) s->last->next = o;
  else s->first = o;
  s->last = o;
  s->length++;
}

static Mark *mark_new(Stream *s) {
  Mark *m = calloc(1, sizeof *m);
  m->references = 1;
  m->stream = s;
  return m;
}

static void append_mark(Stream *s, enum OperationKind kind, Mark *m) {
  Operation *o = calloc(1, sizeof *o);
  o->kind = kind;
  o->mark = m;
  m->references++;
  if (kind == OP_RECORD) m->queued = 1;
  append(s, o);
}

static void run_until(Stream *s, const Mark *mark);

// Makes work queued in `after` from now on wait for what `before` holds.
static void order(Stream *before, Stream *after) {
  if (!before->first || before->capture) return;
  Mark *m = mark_new(before);
  append_mark(before, OP_RECORD, m);
  append_mark(after, OP_WAIT, m);
  mark_release(m);
}

// ---- host memory ----

// Copies between host ranges that may not exist. 0, or -1 where one does not.
static int copy_checked(void *to, const void *from, size_t bytes) {
  struct iovec local = {to, bytes}, remote = {(void *)from, bytes};
  size_t done = 0;
  while (done < bytes) {
    local = (struct iovec){(u8 *)to + done, bytes - done};
    remote = (struct iovec){(u8 *)(u64)from + done, bytes - done};
    ssize_t n = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
    if (n < 0 && (errno == ENOSYS || errno == EPERM)) {
      memcpy((u8 *)to + done, (const u8 *)from + done, bytes - done);
      return 0;
    }
    if (n <= 0) return -1;
    done += (size_t)n;
  }
  return 0;
}

// ---- running ----

static CUresult check_device(Context *c, u64 address, u64 bytes, char *why, size_t size) {
  const Range *r = memory_find(address, bytes);
  if ((r && (r->device == c->device || r->device == -1)) || (!r && memory_registered(address, bytes))) return CUDA_SUCCESS;
  memory_explain(address, bytes, c->device, why, size);
  return CUDA_ERROR_INVALID_VALUE;
}

static CUresult run_operation(Context *c, Operation *o) {
  char why[2048];
  switch (o->kind) {
    case OP_LAUNCH: {
      if (settings.count) return CUDA_SUCCESS;
      if (o->function->magic != MAGIC_FUNCTION) return refused(CUDA_ERROR_LAUNCH_FAILED, "launch", "the module of `%s` was unloaded before it ran", o->function->function->name);
      Launch launch = {.name = o->function->function->name, .kernel = o->function->kernel, .translation = &o->function->translation,
          .source = o->function->module->ptx->source, .globals = o->function->module->globals, .dynamicShared = o->shared,
          .param = o->param, .paramBytes = o->function->function->paramBytes, .device = c->device};
      memcpy(launch.grid, o->grid, sizeof launch.grid);
      memcpy(launch.block, o->block, sizeof launch.block);
      CUresult result = execute_launch(&launch, why, sizeof why);
      return result ? refused(result, "launch", "%s", why) : CUDA_SUCCESS;
    }
    case OP_COPY: {
      if (!o->fromHost && check_device(c, o->from, o->bytes, why, sizeof why)) return refused(CUDA_ERROR_ILLEGAL_ADDRESS, "copy", "its source is %s by the time it runs", why);
      if (!o->toHost && check_device(c, o->to, o->bytes, why, sizeof why)) return refused(CUDA_ERROR_ILLEGAL_ADDRESS, "copy", "its destination is %s by the time it runs", why);
      if (settings.count) {
        if (!o->toHost) return CUDA_SUCCESS;
        static const u8 zeros[4096];
        for (u64 i = 0; i < o->bytes; i += sizeof zeros)
          if (copy_checked((void *)(o->to + i), zeros, o->bytes - i < sizeof zeros ? o->bytes - i : sizeof zeros)) return refused(CUDA_ERROR_INVALID_VALUE, "copy", "host memory that does not exist");
        return CUDA_SUCCESS;
      }
      const void *from = o->staged ? o->staged : (const void *)o->from;
      if (copy_checked((void *)o->to, from, o->bytes)) return refused(CUDA_ERROR_INVALID_VALUE, "copy", "host memory that does not exist when the copy runs");
      return CUDA_SUCCESS;
    }
    case OP_FILL:
      if (check_device(c, o->to, o->bytes, why, sizeof why)) return refused(CUDA_ERROR_ILLEGAL_ADDRESS, "memset", "%s by the time it runs", why);
      if (settings.count) return CUDA_SUCCESS;
      if (o->width == 1) memset((void *)o->to, (int)o->value, o->bytes);
      else if (o->width == 2) for (u64 i = 0; i < o->bytes / 2; i++) ((u16 *)o->to)[i] = (u16)o->value;
      else for (u64 i = 0; i < o->bytes / 4; i++) ((u32 *)o->to)[i] = o->value;
      return CUDA_SUCCESS;
    case OP_RECORD:
      o->mark->done = 1;
      o->mark->millis = now_millis();
      return CUDA_SUCCESS;
    case OP_WAIT:
      if (!o->mark->done) run_until(o->mark->stream, o->mark);
      return CUDA_SUCCESS;
    case OP_HOST:
      o->host(o->arguments);
      return CUDA_SUCCESS;
    case OP_CALL: {
      if (settings.count) return CUDA_SUCCESS;
      int result = o->call(o->arguments);
      return result ? refused(result, o->name, "memory outside the allocations of the device by the time it runs") : CUDA_SUCCESS;
    }
    case OP_GRAPH:
      for (Operation *p = o->graph->first; p && !c->error; p = p->next) {
        CUresult result = p->kind == OP_RECORD || p->kind == OP_WAIT ? CUDA_SUCCESS : run_operation(c, p);
        if (result) return result;
      }
      return CUDA_SUCCESS;
  }
  return CUDA_ERROR_UNKNOWN;
}

static void run_one(Stream *s) {
  Operation *o = s->first;
  s->first = o->next;
  if (!s->first) s->last = NULL;
  s->length--;
  Context *c = s->context;
  // After an error nothing more is done, but who waits must not wait for ever.
  CUresult result = CUDA_SUCCESS;
  if (!c->error || o->kind == OP_RECORD || o->kind == OP_WAIT) result = run_operation(c, o);
  if (result && !c->error) c->error = result;
  operation_free(o);
}

static void run_until(Stream *s, const Mark *mark) {
  while (s->first && !(mark && mark->done)) run_one(s);
}

CUresult context_synchronize(Context *context, const char *call) {
  for (Stream *s = context->streams; s; s = s->nextOfContext)
    if (s->capture) {
      s->captureInvalid = 1;
      return refused(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, call, "waits for the device while a stream is capturing");
    }
  run_until(&context->legacy, NULL);
  for (Stream *s = context->streams; s; s = s->nextOfContext) run_until(s, NULL);
  return context->error;
}

void context_drop_work(Context *context) {
  for (Stream *s = &context->legacy; s; s = s == &context->legacy ? context->streams : s->nextOfContext) {
    while (s->first) {
      Operation *o = s->first;
      s->first = o->next;
      operation_free(o);
    }
    s->last = NULL;
    s->length = 0;
    if (s != &context->legacy) s->magic = 0;
  }
  context->streams = NULL;
}

CUresult capture_forbids(Context *context, const char *call) {
  for (Stream *s = context->streams; s; s = s->nextOfContext)
    if (s->capture && (s->captureMode == 0 || (s->captureMode == 1 && s->captureThread == this_thread()))) {
      s->captureInvalid = 1;
      return refused(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, call, "not permitted while a stream is capturing");
    }
  return CUDA_SUCCESS;
}

static void shuffle_streams(Context *c) {
  int count = 1;
  for (Stream *s = c->streams; s; s = s->nextOfContext) count++;
  int pick = (int)random_below((u32)count);
  Stream *s = &c->legacy;
  for (int i = 0; i < pick; i++) s = i ? s->nextOfContext : c->streams;
  for (u32 n = random_below(4); n && s->first; n--) run_one(s);
}

// Queues work, or records it where the stream is capturing.
static CUresult submit(Context *c, Stream *s, Operation *o, const char *call) {
  if (s->capture) {
    if (s->captureInvalid) {
      operation_free(o);
      return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    }
    Graph *g = s->capture;
    o->next = NULL;
    if (g->last) g->last->next = o;
    else g->first = o;
    g->last = o;
    g->count++;
    s->captureJoined = 0;
    return CUDA_SUCCESS;
  }
  if (s == &c->legacy) {
    for (Stream *t = c->streams; t; t = t->nextOfContext) {
      if (!t->blocking) continue;
      if (t->capture) {
        t->captureInvalid = 1;
        operation_free(o);
        return refused(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, call, "uses the legacy stream while a blocking stream is capturing");
      }
      order(t, s);
    }
  } else if (s->blocking) {
    order(&c->legacy, s);
  }
  append(s, o);
  if (settings.streams == EAGER || s->length > QUEUE_LIMIT) run_until(s, NULL);
  else if (settings.streams == SHUFFLED) shuffle_streams(c);
  return CUDA_SUCCESS;
}

// Queues work in the stream and waits for it.
static CUresult submit_and_wait(Context *c, Stream *s, Operation *o, const char *call) {
  if (s->capture) {
    s->captureInvalid = 1;
    operation_free(o);
    return refused(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, call, "waits while its stream is capturing");
  }
  CUresult result = submit(c, s, o, call);
  if (result) return result;
  run_until(s, NULL);
  return c->error;
}

// ---- copies ----

static CUresult copy(Context *c, Stream *s, u64 to, int toHost, u64 from, int fromHost, size_t bytes, int synchronous, const char *call) {
  char why[256];
  record("copy", "\"kind\":\"%s\",\"bytes\":%zu,\"stream\":%d,\"synchronous\":%s", toHost ? "DtoH" : fromHost ? "HtoD" : "DtoD", bytes, s->number, synchronous ? "true" : "false");
  if (bytes == 0) return CUDA_SUCCESS;
  if (!toHost && check_device(c, to, bytes, why, sizeof why)) return refused(CUDA_ERROR_INVALID_VALUE, call, "the destination, %zu bytes at 0x%llx, is %s", bytes, (unsigned long long)to, why);
  if (!fromHost && check_device(c, from, bytes, why, sizeof why)) return refused(CUDA_ERROR_INVALID_VALUE, call, "the source, %zu bytes at 0x%llx, is %s", bytes, (unsigned long long)from, why);
  if ((toHost && !to) || (fromHost && !from)) return refused(CUDA_ERROR_INVALID_VALUE, call, "the host address is null");
  const Range *hostRange = toHost ? memory_find(to, 1) : fromHost ? memory_find(from, 1) : NULL;
  if (hostRange && hostRange->device >= 0) return refused(CUDA_ERROR_INVALID_VALUE, call, "the host address is memory of device %d", hostRange->device);
  int pinned = memory_registered(toHost ? to : from, bytes);
  if (hostRange && !pinned) return refused(CUDA_ERROR_INVALID_VALUE, call, "the pinned host memory ends before the copy does");
  Operation *o = calloc(1, sizeof *o);
  *o = (Operation){.kind = OP_COPY, .to = to, .toHost = toHost, .from = from, .fromHost = fromHost, .bytes = bytes};
  // Pageable memory is staged before the call returns, and waited for on its way back.
  if (fromHost && !pinned && !s->capture && !settings.count) {
    o->staged = malloc(bytes);
    if (copy_checked(o->staged, (const void *)from, bytes)) {
      operation_free(o);
      return refused(CUDA_ERROR_INVALID_VALUE, call, "host memory that does not exist: %zu bytes at 0x%llx", bytes, (unsigned long long)from);
    }
  }
  if (synchronous || (toHost && !pinned && !s->capture)) return submit_and_wait(c, s, o, call);
  return submit(c, s, o, call);
}

API CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) {
  ENTER_CONTEXT(c);
  return copy(c, &c->legacy, to, 0, (u64)from, 1, bytes, 1, __func__);
}
API CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes) {
  ENTER_CONTEXT(c);
  return copy(c, &c->legacy, (u64)to, 1, from, 0, bytes, 1, __func__);
}
API CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  ENTER_CONTEXT(c);
  return copy(c, &c->legacy, to, 0, from, 0, bytes, 0, __func__);
}
API CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, Stream *s) {
  ENTER_CONTEXT(c);
  RESOLVE(s);
  return copy(c, s, to, 0, (u64)from, 1, bytes, 0, __func__);
}
API CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, Stream *s) {
  ENTER_CONTEXT(c);
  RESOLVE(s);
  return copy(c, s, (u64)to, 1, from, 0, bytes, 0, __func__);
}
API CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, Stream *s) {
  ENTER_CONTEXT(c);
  RESOLVE(s);
  return copy(c, s, to, 0, from, 0, bytes, 0, __func__);
}

static int is_host(u64 address) {
  const Range *r = memory_find(address, 1);
  return !r || r->device < 0;
}
API CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  ENTER_CONTEXT(c);
  return copy(c, &c->legacy, to, is_host(to), from, is_host(from), bytes, 1, __func__);
}
API CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, Stream *s) {
  ENTER_CONTEXT(c);
  RESOLVE(s);
  return copy(c, s, to, is_host(to), from, is_host(from), bytes, 0, __func__);
}

static CUresult fill(Context *c, Stream *s, u64 to, u32 value, u32 width, size_t count, const char *call) {
  char why[256];
  record("fill", "\"bytes\":%zu,\"stream\":%d", count * width, s->number);
  if (count == 0) return CUDA_SUCCESS;
  if (to % width) return refused(CUDA_ERROR_INVALID_VALUE, call, "0x%llx is not aligned to %u bytes", (unsigned long long)to, width);
  if (check_device(c, to, count * width, why, sizeof why)) return refused(CUDA_ERROR_INVALID_VALUE, call, "%zu bytes at 0x%llx: %s", count * width, (unsigned long long)to, why);
  Operation *o = calloc(1, sizeof *o);
  *o = (Operation){.kind = OP_FILL, .to = to, .bytes = count * width, .value = value, .width = width};
  return submit(c, s, o, call);
}

#define DEFINE_FILL(name, type, width)                                                    \
  API CUresult cuMemset##name##_v2(CUdeviceptr to, type value, size_t count) {            \
    ENTER_CONTEXT(c);                                                                     \
    return fill(c, &c->legacy, to, value, width, count, __func__);                        \
  }                                                                                       \
  API CUresult cuMemset##name##Async(CUdeviceptr to, type value, size_t count, Stream *s) { \
    ENTER_CONTEXT(c);                                                                     \
    RESOLVE(s);                                                                           \
    return fill(c, s, to, value, width, count, __func__);                                 \
  }
DEFINE_FILL(D8, unsigned char, 1)
DEFINE_FILL(D16, unsigned short, 2)
DEFINE_FILL(D32, unsigned, 4)

// ---- launches ----

API CUresult cuLaunchKernel(KernelFunction *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, Stream *s, void **params, void **extra) {
  ENTER_CONTEXT(c);
  RESOLVE(s);
  if (!f || f->magic != MAGIC_FUNCTION || f->module->context != c) return refused(CUDA_ERROR_INVALID_HANDLE, __func__, "no function of a module of the current context");
  const Function *function = f->function;
  const char *name = function->name;
  if (!gx || !gy || !gz || gx > 0x7fffffffu || gy > 65535 || gz > 65535) return refused(CUDA_ERROR_INVALID_VALUE, __func__, "`%s`: grid (%u, %u, %u); need 1 to 2^31-1, 65535 and 65535", name, gx, gy, gz);
  u64 threads = (u64)bx * by * bz;
  if (!threads || bx > 1024 || by > 1024 || bz > 64 || threads > 1024) return refused(CUDA_ERROR_INVALID_VALUE, __func__, "`%s`: block (%u, %u, %u); need at most 1024, 1024 and 64, and 1024 threads", name, bx, by, bz);
  if (function->maxThreads && threads > function->maxThreads) return refused(CUDA_ERROR_INVALID_VALUE, __func__, "`%s`: %llu threads; its launch bounds allow %u", name, (unsigned long long)threads, function->maxThreads);
  const u32 *required = function->requiredThreads;
  if (required[0] && (required[0] != bx || required[1] != by || required[2] != bz)) return refused(CUDA_ERROR_INVALID_VALUE, __func__, "`%s`: block (%u, %u, %u); it requires (%u, %u, %u)", name, bx, by, bz, required[0], required[1], required[2]);
  if (shared > f->maxDynamicShared) return refused(CUDA_ERROR_INVALID_VALUE, __func__, "`%s`: %u bytes of dynamic shared memory; %u are allowed (cuFuncSetAttribute raises this to %u)", name, shared, f->maxDynamicShared, device_shared_optin() - f->translation.sharedStatic);
  if (function->paramCount && !params && !extra) return refused(CUDA_ERROR_INVALID_VALUE, __func__, "`%s`: %d parameters, none given", name, function->paramCount);
  u8 *param = calloc(1, function->paramBytes + 1);
  if (params) {
    for (int i = 0; i < function->paramCount; i++) {
      const Parameter *p = &function->params[i];
      if (!params[i] || copy_checked(param + p->offset, params[i], p->bytes)) {
        free(param);
        return refused(CUDA_ERROR_INVALID_VALUE, __func__, "`%s`: parameter %d has no value", name, i);
      }
    }
  } else if (extra) {
    const void *buffer = NULL;
    size_t bytes = 0;
    for (int i = 0; extra[i]; i += 2) {
      if (extra[i] == (void *)1) buffer = extra[i + 1];
      if (extra[i] == (void *)2) bytes = *(size_t *)extra[i + 1];
    }
    if (!buffer || bytes > function->paramBytes) {
      free(param);
      return refused(CUDA_ERROR_INVALID_VALUE, __func__, "`%s`: %zu bytes of parameters; it has %u", name, bytes, function->paramBytes);
    }
    memcpy(param, buffer, bytes);
  }
  record("launch", "\"kernel\":\"%s\",\"grid\":[%u,%u,%u],\"block\":[%u,%u,%u],\"shared\":%u,\"stream\":%d,\"captured\":%s", name, gx, gy, gz, bx, by, bz, shared, s->number, s->capture ? "true" : "false");
  Operation *o = calloc(1, sizeof *o);
  *o = (Operation){.kind = OP_LAUNCH, .function = f, .grid = {gx, gy, gz}, .block = {bx, by, bz}, .shared = shared, .param = param};
  return submit(c, s, o, __func__);
}

API CUresult cuLaunchHostFunc(Stream *s, void (*function)(void *), void *data) {
  ENTER_CONTEXT(c);
  RESOLVE(s);
  Operation *o = calloc(1, sizeof *o);
  *o = (Operation){.kind = OP_HOST, .host = function, .arguments = data};
  return submit(c, s, o, __func__);
}

// For cuBLAS: queues a function of the library with a copy of its arguments.
API CUresult softwareCudaCall(Stream *s, const char *name, int (*call)(const void *), const void *arguments, size_t bytes, const char *details);
API CUresult softwareCudaCall(Stream *s, const char *name, int (*call)(const void *), const void *arguments, size_t bytes, const char *details) {
  ENTER_CONTEXT(c);
  RESOLVE(s);
  record("blas", "\"function\":\"%s\",%s,\"stream\":%d", name, details, s->number);
  Operation *o = calloc(1, sizeof *o);
  *o = (Operation){.kind = OP_CALL, .name = name, .call = call, .arguments = malloc(bytes), .argumentBytes = bytes};
  memcpy(o->arguments, arguments, bytes);
  return submit(c, s, o, __func__);
}

// For cuBLAS: whether the current device may touch a range; says why not.
API CUresult softwareCudaCheck(const char *call, const char *what, CUdeviceptr address, size_t bytes);
API CUresult softwareCudaCheck(const char *call, const char *what, CUdeviceptr address, size_t bytes) {
  ENTER_CONTEXT(c);
  char why[256];
  if (!bytes || !check_device(c, address, bytes, why, sizeof why)) return CUDA_SUCCESS;
  return refused(CUDA_ERROR_ILLEGAL_ADDRESS, call, "%s, %zu bytes at 0x%llx: %s", what, bytes, (unsigned long long)address, why);
}
API CUresult softwareCudaRefuse(const char *call, const char *what);
API CUresult softwareCudaRefuse(const char *call, const char *what) { return refused(CUDA_ERROR_NOT_SUPPORTED, call, "%s", what); }

// ---- streams ----

API CUresult cuStreamCreateWithPriority(Stream **out, unsigned flags, int priority) {
  ENTER_CONTEXT(c);
  if (flags > 1) return CUDA_ERROR_INVALID_VALUE;
  Stream *s = calloc(1, sizeof *s);
  *s = (Stream){.magic = MAGIC_STREAM, .context = c, .number = ++streamNumber, .blocking = !flags, .priority = priority, .nextOfContext = c->streams};
  c->streams = s;
  *out = s;
  return CUDA_SUCCESS;
}
API CUresult cuStreamCreate(Stream **out, unsigned flags) { return cuStreamCreateWithPriority(out, flags, 0); }

API CUresult cuStreamDestroy_v2(Stream *s) {
  ENTER_CONTEXT(c);
  if (!s || s == (Stream *)1 || s == (Stream *)2) return CUDA_ERROR_INVALID_HANDLE;
  RESOLVE(s);
  run_until(s, NULL);
  if (s->capture) graph_release(s->capture);
  for (Stream **p = &c->streams; *p; p = &(*p)->nextOfContext)
    if (*p == s) {
      *p = s->nextOfContext;
      break;
    }
  s->magic = 0;   // kept, so that a later use is recognised
  return CUDA_SUCCESS;
}

API CUresult cuStreamSynchronize(Stream *s) {
  ENTER_CONTEXT(c);
  RESOLVE(s);
  record("synchronize", "\"what\":\"stream\",\"stream\":%d", s->number);
  if (s->capture) {
    s->captureInvalid = 1;
    return refused(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, __func__, "the stream is capturing");
  }
  if (s == &c->legacy) return context_synchronize(c, __func__);
  run_until(s, NULL);
  return c->error;
}

// A program that polls makes progress, but sees work as unfinished at least once.
API CUresult cuStreamQuery(Stream *s) {
  ENTER_CONTEXT(c);
  RESOLVE(s);
  if (s->capture) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (!s->first) return CUDA_SUCCESS;
  run_one(s);
  return c->error ? c->error : CUDA_ERROR_NOT_READY;
}

API CUresult cuStreamGetFlags(Stream *s, unsigned *flags) {
  ENTER_CONTEXT(c);
  RESOLVE(s);
  *flags = !s->blocking;
  return CUDA_SUCCESS;
}
API CUresult cuStreamGetPriority(Stream *s, int *priority) {
  ENTER_CONTEXT(c);
  RESOLVE(s);
  *priority = s->priority;
  return CUDA_SUCCESS;
}
API CUresult cuStreamGetCtx(Stream *s, Context **out) {
  ENTER_CONTEXT(c);
  RESOLVE(s);
  *out = s->context;
  return CUDA_SUCCESS;
}

// ---- events ----

API CUresult cuEventCreate(Event **out, unsigned flags) {
  ENTER_CONTEXT(c);
  Event *e = calloc(1, sizeof *e);
  *e = (Event){.magic = MAGIC_EVENT, .context = c, .timing = !(flags & 2)};
  *out = e;
  return CUDA_SUCCESS;
}
#define CHECK_EVENT(e) if (!(e) || (e)->magic != MAGIC_EVENT) return refused(CUDA_ERROR_INVALID_HANDLE, __func__, "no live event")

API CUresult cuEventDestroy_v2(Event *e) {
  ENTER_CONTEXT(c);
  CHECK_EVENT(e);
  mark_release(e->mark);
  e->magic = 0;
  return CUDA_SUCCESS;
}

API CUresult cuEventRecordWithFlags(Event *e, Stream *s, unsigned flags) {
  ENTER_CONTEXT(c);
  (void)flags;
  RESOLVE(s);
  CHECK_EVENT(e);
  Mark *m = mark_new(s);
  mark_release(e->mark);
  e->mark = m;
  if (s->capture) {
    m->captured = s->capture;
    return CUDA_SUCCESS;
  }
  m->queued = 1;
  m->references++;
  Operation *o = calloc(1, sizeof *o);
  *o = (Operation){.kind = OP_RECORD, .mark = m};
  return submit(c, s, o, __func__);
}
API CUresult cuEventRecord(Event *e, Stream *s) { return cuEventRecordWithFlags(e, s, 0); }

API CUresult cuStreamWaitEvent(Stream *s, Event *e, unsigned flags) {
  ENTER_CONTEXT(c);
  (void)flags;
  RESOLVE(s);
  CHECK_EVENT(e);
  Mark *m = e->mark;
  if (!m) return CUDA_SUCCESS;
  if (m->captured) {
    // The stream joins the capture, or the capture's first stream takes back another's work.
    if (s == &c->legacy) return refused(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, __func__, "the legacy stream cannot join a capture");
    if (!s->capture) {
      if (!m->stream->capture) return refused(CUDA_ERROR_CAPTURED_EVENT, __func__, "the event was recorded in a capture that has ended");
      s->capture = m->captured;
      s->capture->references++;
      s->captureMode = m->stream->captureMode;
      s->captureThread = m->stream->captureThread;
      s->captureOrigin = 0;
    }
    m->stream->captureJoined = 1;
    return CUDA_SUCCESS;
  }
  if (s->capture) {
    s->captureInvalid = 1;
    return refused(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, __func__, "a capturing stream waits for an event recorded outside the capture");
  }
  if (m->done) return CUDA_SUCCESS;
  m->references++;
  Operation *o = calloc(1, sizeof *o);
  *o = (Operation){.kind = OP_WAIT, .mark = m};
  return submit(c, s, o, __func__);
}

API CUresult cuEventSynchronize(Event *e) {
  ENTER_CONTEXT(c);
  CHECK_EVENT(e);
  record("synchronize", "\"what\":\"event\"");
  if (!e->mark) return CUDA_SUCCESS;
  if (e->mark->captured) return refused(CUDA_ERROR_CAPTURED_EVENT, __func__, "the event was recorded in a capturing stream");
  if (!e->mark->done) run_until(e->mark->stream, e->mark);
  return c->error;
}

API CUresult cuEventQuery(Event *e) {
  ENTER_CONTEXT(c);
  CHECK_EVENT(e);
  if (!e->mark) return CUDA_SUCCESS;
  if (e->mark->captured) return refused(CUDA_ERROR_CAPTURED_EVENT, __func__, "the event was recorded in a capturing stream");
  if (e->mark->done) return CUDA_SUCCESS;
  if (e->mark->stream->first) run_one(e->mark->stream);
  return c->error ? c->error : CUDA_ERROR_NOT_READY;
}

API CUresult cuEventElapsedTime(float *millis, Event *start, Event *end) {
  ENTER_CONTEXT(c);
  CHECK_EVENT(start);
  CHECK_EVENT(end);
  if (!start->timing || !end->timing || !start->mark || !end->mark) return refused(CUDA_ERROR_INVALID_HANDLE, __func__, "an event without timing, or never recorded");
  if (!start->mark->done || !end->mark->done) return CUDA_ERROR_NOT_READY;
  *millis = (float)(end->mark->millis - start->mark->millis);
  return CUDA_SUCCESS;
}
API CUresult cuEventElapsedTime_v2(float *millis, Event *start, Event *end) { return cuEventElapsedTime(millis, start, end); }

// ---- graphs ----

API CUresult cuStreamBeginCapture_v2(Stream *s, int mode) {
  ENTER_CONTEXT(c);
  RESOLVE(s);
  if (s == &c->legacy) return refused(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, __func__, "the legacy stream cannot capture");
  if (s->capture) return refused(CUDA_ERROR_ILLEGAL_STATE, __func__, "the stream is capturing already");
  Graph *g = calloc(1, sizeof *g);
  *g = (Graph){.magic = MAGIC_GRAPH, .references = 1};
  s->capture = g;
  s->captureMode = mode;
  s->captureOrigin = 1;
  s->captureInvalid = 0;
  s->captureThread = this_thread();
  return CUDA_SUCCESS;
}
API CUresult cuStreamBeginCapture(Stream *s, int mode) { return cuStreamBeginCapture_v2(s, mode); }

API CUresult cuStreamEndCapture(Stream *s, Graph **out) {
  ENTER_CONTEXT(c);
  RESOLVE(s);
  if (out) *out = NULL;
  if (!s->capture) return refused(CUDA_ERROR_ILLEGAL_STATE, __func__, "the stream is not capturing");
  if (!s->captureOrigin) return refused(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, __func__, "the capture began in another stream");
  Graph *g = s->capture;
  int invalid = s->captureInvalid, unjoined = 0;
  for (Stream *t = c->streams; t; t = t->nextOfContext) {
    if (t->capture != g || t == s) continue;
    unjoined |= !t->captureJoined;
    invalid |= t->captureInvalid;
    t->capture = NULL;
    t->captureJoined = t->captureInvalid = 0;
    graph_release(g);
  }
  s->capture = NULL;
  s->captureJoined = s->captureInvalid = s->captureOrigin = 0;
  if (invalid || unjoined) {
    graph_release(g);
    return refused(invalid ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_ERROR_STREAM_CAPTURE_UNJOINED, __func__, "%s", invalid ? "an earlier call was not permitted in the capture" : "another stream's captured work was not joined");
  }
  *out = g;
  return CUDA_SUCCESS;
}

API CUresult cuStreamIsCapturing(Stream *s, int *status) {
  ENTER_CONTEXT(c);
  RESOLVE(s);
  *status = !s->capture ? 0 : s->captureInvalid ? 2 : 1;
  return CUDA_SUCCESS;
}

API CUresult cuThreadExchangeStreamCaptureMode(int *mode) {
  static __thread int current;
  int old = current;
  current = *mode;
  *mode = old;
  return CUDA_SUCCESS;
}

API CUresult cuGraphGetNodes(Graph *g, void **nodes, size_t *count) {
  ENTER_CONTEXT(c);
  if (!g || g->magic != MAGIC_GRAPH) return CUDA_ERROR_INVALID_HANDLE;
  size_t i = 0;
  for (Operation *o = g->first; o && nodes && i < *count; o = o->next) nodes[i++] = o;
  *count = nodes ? i : (size_t)g->count;
  return CUDA_SUCCESS;
}

API CUresult cuGraphInstantiateWithFlags(GraphExec **out, Graph *g, unsigned long long flags) {
  ENTER_CONTEXT(c);
  (void)flags;
  if (!g || g->magic != MAGIC_GRAPH) return refused(CUDA_ERROR_INVALID_HANDLE, __func__, "no live graph");
  GraphExec *e = calloc(1, sizeof *e);
  *e = (GraphExec){MAGIC_EXEC, g};
  g->references++;
  *out = e;
  return CUDA_SUCCESS;
}
API CUresult cuGraphInstantiate_v2(GraphExec **out, Graph *g, void *node, char *log, size_t bytes) {
  (void)node;
  if (log && bytes) *log = 0;
  return cuGraphInstantiateWithFlags(out, g, 0);
}

API CUresult cuGraphUpload(GraphExec *e, Stream *s) {
  ENTER_CONTEXT(c);
  RESOLVE(s);
  return e && e->magic == MAGIC_EXEC ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

API CUresult cuGraphLaunch(GraphExec *e, Stream *s) {
  ENTER_CONTEXT(c);
  RESOLVE(s);
  if (!e || e->magic != MAGIC_EXEC) return refused(CUDA_ERROR_INVALID_HANDLE, __func__, "no live executable graph");
  record("graph", "\"nodes\":%d,\"stream\":%d", e->graph->count, s->number);
  Operation *o = calloc(1, sizeof *o);
  *o = (Operation){.kind = OP_GRAPH, .graph = e->graph};
  e->graph->references++;
  return submit(c, s, o, __func__);
}

API CUresult cuGraphExecDestroy(GraphExec *e) {
  ENTER_CONTEXT(c);
  if (!e || e->magic != MAGIC_EXEC) return CUDA_ERROR_INVALID_HANDLE;
  e->magic = 0;
  graph_release(e->graph);
  return CUDA_SUCCESS;
}

API CUresult cuGraphDestroy(Graph *g) {
  ENTER_CONTEXT(c);
  if (!g || g->magic != MAGIC_GRAPH) return CUDA_ERROR_INVALID_HANDLE;
  g->magic = 0;
  graph_release(g);
  return CUDA_SUCCESS;
}
