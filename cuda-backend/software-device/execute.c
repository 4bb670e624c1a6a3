// The GPU's threads as fibers. Each runs until it waits (at a barrier, for its warp) or is
// preempted; threads are never in lockstep, so nothing is ordered that the program did not order.

#include "execute.h"

#include "memory.h"
#include "ptx_ops.h"
#include "settings.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define STACK_BYTES (128 << 10)
#define MAX_THREADS 1024
#define MAX_RESIDENT 4
#define BARRIERS 16
#define POISON 0xfffdfffdu   // NaN as f32, bf16 and f16; as an index far out of bounds

enum State { READY, AT_BARRIER, IN_COLLECTIVE, DONE };

typedef struct AsyncCopy {
  u8 *to;
  const u8 *from;
  u32 bytes, sourceBytes, group;
} AsyncCopy;

typedef struct Fiber {
  Thread thread;   // first: a Thread * is a Fiber *
  void *sp;
  u8 *stack;
  struct Slot *slot;
  enum State state;
  int line;        // where it waits
  u32 barrier, result;
  int op;          // of the collective that it waits in
  u32 mask;
  const u32 *in;
  u32 *out;
  AsyncCopy *copies;
  u32 copyCount, copyCapacity, group;
} Fiber;

typedef struct Warp {
  u32 alive, waiting;   // lanes that have not ended; that wait in a collective
  u32 epoch;            // counts __syncwarp, for races
} Warp;

typedef struct Barrier {
  u32 arrived, expected;
  u32 popc;
  int reduction;
} Barrier;

// Who touched a byte of shared memory last.
typedef struct Shadow {
  u32 writeEpoch, writeThread, writeWarpEpoch;
  u32 readEpoch, readThread, readWarpEpoch;
  int writeLine, readLine;
  u8 writeAtomic, readers;   // readers: 0 one thread, 1 several of a warp, 2 several warps
} Shadow;

// A block on the machine.
typedef struct Slot {
  Block block;
  Fiber *fibers;
  Warp warps[MAX_THREADS / 32];
  Barrier barriers[BARRIERS];
  u32 threads, alive, epoch;
  int active;
  Shadow *shadow;
  u32 shadowBytes;
} Slot;

static Slot slots[MAX_RESIDENT];
static Runtime runtime;
static void *schedulerSp;
static Fiber *current;
static const Launch *running;
static int failure;
static char failureText[1536];
static u32 epochs;
static time_t deadline;

// ---- switching ----

// Saves the caller's registers and stack pointer in *save, and goes on where `load` was saved.
void software_cuda_switch(void **save, void *load);
__asm__(
    ".text\n"
    ".hidden software_cuda_switch\n"
    ".globl software_cuda_switch\n"
    ".type software_cuda_switch,@function\n"
    "software_cuda_switch:\n"
    "  push %rbp\n  push %rbx\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
    "  mov %rsp, (%rdi)\n"
    "  mov %rsi, %rsp\n"
    "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbx\n  pop %rbp\n"
    "  ret\n"
    ".size software_cuda_switch,.-software_cuda_switch\n");

static void to_scheduler(Fiber *f) { software_cuda_switch(&f->sp, schedulerSp); }

static void thread_ended(Fiber *f);

static void fiber_main(void) {
  Fiber *f = current;
  running->kernel(&f->thread);
  thread_ended(f);
  to_scheduler(f);
  abort();
}

static void prepare(Fiber *f) {
  if (!f->stack) {
    f->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (f->stack == MAP_FAILED) abort();
    mprotect(f->stack, 4096, PROT_NONE);
  }
  u64 *top = (u64 *)(f->stack + STACK_BYTES) - 1;   // aligned as after a call
  *top = 0;                       // fiber_main returns nowhere
  *--top = (u64)fiber_main;
  for (int i = 0; i < 6; i++) *--top = 0;
  f->sp = top;
}

// ---- faults ----

static void fail(int result, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fail(int result, const char *format, ...) {
  if (failure) return;
  failure = result;
  int n = snprintf(failureText, sizeof failureText, "kernel `%s`", running->name);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(failureText + n, sizeof failureText - (size_t)n, format, arguments);
  va_end(arguments);
}

static const char *line_text(int line) {
  static char text[512];
  ptx_describe_line(running->source, line, text, sizeof text);
  return text;
}

static void fault(Thread *, int, int, const char *, u64, u32) __attribute__((noreturn));
static void assert_fail(Thread *, int, u64, u64, u32, u64) __attribute__((noreturn));

static void fault(Thread *t, int line, int result, const char *what, u64 address, u32 bytes) {
  const u32 *b = t->block->ctaid;
  char where[96] = "";
  if (bytes) snprintf(where, sizeof where, " (%u bytes at 0x%llx)", bytes, (unsigned long long)address);
  fail(result, ", block (%u, %u, %u), thread (%u, %u, %u): %s%s; %s", b[0], b[1], b[2], t->tid[0], t->tid[1], t->tid[2], what, where, line_text(line));
  to_scheduler((Fiber *)t);
  abort();
}

static void *global_slow(Thread *t, u64 address, u32 bytes, int line) {
  char what[256];
  int misaligned = (address & (bytes - 1)) != 0;
  if (misaligned) fault(t, line, 716, "misaligned access to global memory", address, bytes);
  if (memory_registered(address, bytes)) return (void *)address;
  memory_explain(address, bytes, runtime.device, what, sizeof what);
  fault(t, line, 700, what, address, bytes);
}

// ---- preemption ----

static void refuel(void) {
  runtime.fuel = settings.preempt ? 1 + random_below(2 * (u32)settings.preempt) : 1 << 20;
}

static void preempt(Thread *t) {
  refuel();
  if (time(NULL) > deadline) fault(t, 0, 702, "the launch took longer than SOFTWARE_CUDA_TIMEOUT", 0, 0);
  to_scheduler((Fiber *)t);
}

// ---- barriers ----

static void complete_barrier(Slot *s, u32 id) {
  Barrier *b = &s->barriers[id];
  u32 result = b->reduction == BARRIER_POPC ? b->popc : b->reduction == BARRIER_AND ? b->popc == b->arrived : b->popc > 0;
  int lines[MAX_THREADS / 32] = {0};
  for (u32 i = 0; i < s->threads; i++) {
    Fiber *f = &s->fibers[i];
    if (f->state != AT_BARRIER || f->barrier != id) continue;
    // Warps may meet at a named barrier from different lines; __syncthreads is one line for the block.
    u32 w = id == 0 && !b->expected ? 0 : f->thread.warp;
    if (lines[w] && lines[w] != f->line)
      fail(719, ", block (%u, %u, %u): threads wait at different barriers (divergent __syncthreads): PTX line %d and %s",
           s->block.ctaid[0], s->block.ctaid[1], s->block.ctaid[2], lines[w], line_text(f->line));
    lines[w] = f->line;
    f->state = READY;
    f->result = result;
  }
  if (b->arrived == s->alive) s->epoch = ++epochs;
  *b = (Barrier){0};
}

static u32 barrier(Thread *t, int line, u32 id, u32 threads, int reduction, u32 predicate) {
  Fiber *f = (Fiber *)t;
  Slot *s = f->slot;
  if (id >= BARRIERS) fault(t, line, 719, "no barrier of this number", id, 0);
  if (threads % 32 || threads > s->threads + 31) fault(t, line, 719, "a barrier for a number of threads that is no multiple of 32 or more than the block has", threads, 0);
  Barrier *b = &s->barriers[id];
  if (b->arrived && (b->expected != threads || b->reduction != reduction)) fault(t, line, 719, "threads meet at a barrier with different arguments", id, 0);
  b->expected = threads;
  b->reduction = reduction;
  b->arrived++;
  b->popc += predicate;
  f->state = AT_BARRIER;
  f->barrier = id;
  f->line = line;
  if (b->arrived == (threads ? threads : s->alive)) complete_barrier(s, id);
  if (f->state != READY || failure) to_scheduler(f);
  return f->result;
}

// ---- what the lanes of a warp do together ----

static double half_of(u32 bits, int high, int bf16) {
  u16 h = (u16)(high ? bits >> 16 : bits);
  return bf16 ? bf16_of(h) : f16_of(h);
}

// Fragments as in the PTX manual, "Matrix Fragments for mma": lane = 4 * group + member.
static void mma(Fiber **lanes, int op) {
  int tf32 = op == MMA_1688_TF32 || op == MMA_1684_TF32, bf16 = op == MMA_16816_BF16 || op == MMA_1688_BF16;
  int k = op == MMA_1684_TF32 ? 4 : op == MMA_16816_F16 || op == MMA_16816_BF16 || op == MMA_16816_F16_F16 ? 16 : 8;
  int halfSum = op == MMA_16816_F16_F16 || op == MMA_1688_F16_F16;
  int aCount = tf32 ? k / 2 : k / 4, bCount = aCount / 2;
  double a[16][16], b[16][8], c[16][8];
  for (int lane = 0; lane < 32; lane++) {
    const u32 *in = lanes[lane]->in;
    int group = lane >> 2, member = lane & 3;
    for (int r = 0; r < aCount; r++) {
      int row = group + (r & 1) * 8;
      if (tf32) a[row][member + (r >> 1) * 4] = f32_of(in[r] & ~0x1fffu);
      else for (int h = 0; h < 2; h++) a[row][member * 2 + h + (r >> 1) * 8] = half_of(in[r], h, bf16);
    }
    for (int r = 0; r < bCount; r++) {
      if (tf32) b[member + r * 4][group] = f32_of(in[aCount + r] & ~0x1fffu);
      else for (int h = 0; h < 2; h++) b[member * 2 + h + r * 8][group] = half_of(in[aCount + r], h, bf16);
    }
    for (int i = 0; i < 4; i++) {
      const u32 *sum = in + aCount + bCount;
      c[group + (i >> 1) * 8][member * 2 + (i & 1)] = halfSum ? half_of(sum[i >> 1], i & 1, 0) : f32_of(sum[i]);
    }
  }
  for (int lane = 0; lane < 32; lane++) {
    u32 *out = lanes[lane]->out;
    int group = lane >> 2, member = lane & 3;
    u32 packed[2] = {0, 0};
    for (int i = 0; i < 4; i++) {
      int row = group + (i >> 1) * 8, column = member * 2 + (i & 1);
      double sum = c[row][column];
      for (int j = 0; j < k; j++) sum += a[row][j] * b[j][column];
      if (halfSum) packed[i >> 1] |= (u32)bits_f16(sum) << 16 * (i & 1);
      else out[i] = bits_f32((float)sum);
    }
    if (halfSum) out[0] = packed[0], out[1] = packed[1];
  }
}

static void ldmatrix(Fiber **lanes, int op) {
  int transposed = op >= LDMATRIX_TRANS_X1;
  int count = 1 << (op - (transposed ? LDMATRIX_TRANS_X1 : LDMATRIX_X1));
  for (int lane = 0; lane < 32; lane++)
    for (int m = 0; m < count; m++) {
      u16 pair[2];
      for (int h = 0; h < 2; h++) {
        int row = transposed ? 2 * (lane & 3) + h : lane >> 2, column = transposed ? lane >> 2 : 2 * (lane & 3) + h;
        const u32 *in = lanes[8 * m + row]->in;
        pair[h] = ((const u16 *)((u64)in[1] << 32 | in[0]))[column];
      }
      lanes[lane]->out[m] = (u32)pair[1] << 16 | pair[0];
    }
}

static void shuffle(Fiber **lanes, u32 present, int op) {
  for (u32 lane = 0; lane < 32; lane++) {
    if (!(present >> lane & 1)) continue;
    const u32 *in = lanes[lane]->in;
    u32 by = in[1] & 31, segment = in[2] >> 8 & 31, clamp = in[2] & 31;
    u32 low = lane & segment, high = low | (clamp & ~segment);
    s32 from = op == SHFL_UP ? (s32)(lane - by) : op == SHFL_DOWN ? (s32)(lane + by) : op == SHFL_BFLY ? (s32)(lane ^ by) : (s32)(low | (by & ~segment));
    int valid = op == SHFL_UP ? from >= (s32)high : from <= (s32)high;
    if (!valid) from = (s32)lane;
    lanes[lane]->out[0] = present >> from & 1 ? lanes[from]->in[0] : POISON;
    lanes[lane]->out[1] = (u32)valid;
  }
}

static u32 redux(u32 a, u32 b, int op) {
  switch (op) {
    case REDUX_ADD: return a + b;
    case REDUX_MIN_U32: return a < b ? a : b;
    case REDUX_MAX_U32: return a > b ? a : b;
    case REDUX_MIN_S32: return (s32)a < (s32)b ? a : b;
    case REDUX_MAX_S32: return (s32)a > (s32)b ? a : b;
    case REDUX_AND: return a & b;
    case REDUX_OR: return a | b;
    default: return a ^ b;
  }
}

static void reduce_and_match(Fiber **lanes, u32 present, int op) {
  u32 ballot = 0, sum = 0;
  int first = 1;
  for (u32 i = 0; i < 32; i++) {
    if (!(present >> i & 1)) continue;
    u32 x = lanes[i]->in[0];
    if (x) ballot |= 1u << i;
    sum = first ? x : redux(sum, x, op);
    first = 0;
  }
  for (u32 i = 0; i < 32; i++) {
    if (!(present >> i & 1)) continue;
    u32 *out = lanes[i]->out, equal = 0;
    switch (op) {
      case VOTE_ALL: out[0] = ballot == present; break;
      case VOTE_ANY: out[0] = ballot != 0; break;
      case VOTE_UNI: out[0] = ballot == 0 || ballot == present; break;
      case VOTE_BALLOT: out[0] = ballot; break;
      case MATCH_ANY_32: case MATCH_ANY_64: case MATCH_ALL_32: case MATCH_ALL_64:
        for (u32 k = 0; k < 32; k++)
          if (present >> k & 1 && lanes[k]->in[0] == lanes[i]->in[0] && (op == MATCH_ANY_32 || op == MATCH_ALL_32 || lanes[k]->in[1] == lanes[i]->in[1]))
            equal |= 1u << k;
        if (op == MATCH_ANY_32 || op == MATCH_ANY_64) out[0] = equal;
        else out[0] = equal == present ? present : 0, out[1] = equal == present;
        break;
      default: out[0] = sum;
    }
  }
}

// Runs the collective that `f` waits in, if all lanes of its mask that have not ended wait in the same.
static void try_collective(Fiber *f) {
  Slot *s = f->slot;
  u32 warp = f->thread.warp;
  Warp *w = &s->warps[warp];
  u32 present = f->mask & w->alive;
  if ((w->waiting & present) != present) return;
  Fiber *lanes[32] = {0};
  for (u32 i = 0; i < 32; i++) {
    if (!(present >> i & 1)) continue;
    lanes[i] = &s->fibers[warp * 32 + i];
    if (lanes[i]->mask != f->mask) return;   // it may come here after its own group
    if (lanes[i]->op != f->op || lanes[i]->line != f->line) {
      fail(719, ", block (%u, %u, %u), warp %u: lanes of one mask execute different instructions: PTX line %d and %s",
           s->block.ctaid[0], s->block.ctaid[1], s->block.ctaid[2], warp, lanes[i]->line, line_text(f->line));
      return;
    }
  }
  int op = f->op;
  if (op >= LDMATRIX_X1 && present != ~0u) {
    fail(719, ", warp %u: mma or ldmatrix in a warp of which threads have ended; %s", warp, line_text(f->line));
    return;
  }
  if (op == WARP_SYNC) w->epoch++;
  else if (op <= SHFL_IDX) shuffle(lanes, present, op);
  else if (op < LDMATRIX_X1) reduce_and_match(lanes, present, op);
  else if (op < MMA_16816_F16) ldmatrix(lanes, op);
  else mma(lanes, op);
  w->waiting &= ~present;
  for (u32 i = 0; i < 32; i++)
    if (lanes[i]) lanes[i]->state = READY;
}

static void collective(Thread *t, int line, int op, u32 mask, const u32 *in, u32 *out) {
  Fiber *f = (Fiber *)t;
  if (!(mask >> t->lane & 1)) fault(t, line, 719, "the mask of a warp operation leaves out the lane that executes it", mask, 0);
  f->op = op;
  f->mask = mask;
  f->in = in;
  f->out = out;
  f->line = line;
  f->state = IN_COLLECTIVE;
  f->slot->warps[t->warp].waiting |= 1u << t->lane;
  try_collective(f);
  if (f->state != READY || failure) to_scheduler(f);
}

// ---- cp.async: nothing is copied before the wait ----

static void async_copy(Thread *t, int line, u32 destination, u64 source, u32 bytes, u32 sourceBytes) {
  Fiber *f = (Fiber *)t;
  if (bytes != 4 && bytes != 8 && bytes != 16) fault(t, line, 719, "cp.async of a size other than 4, 8 or 16", destination, bytes);
  u8 *to = at_shared(t, destination, bytes, WRITE, line);
  if (source & (bytes - 1)) fault(t, line, 716, "cp.async from a misaligned address", source, bytes);
  if (sourceBytes > bytes) sourceBytes = bytes;
  const u8 *from = NULL;
  for (u32 i = 0; i < sourceBytes; i++) {
    const u8 *byte = at_global(t, source + i, 1, READ, line);
    if (!i) from = byte;
  }
  if (f->copyCount == f->copyCapacity) f->copies = realloc(f->copies, sizeof(AsyncCopy) * (f->copyCapacity = 2 * f->copyCapacity + 16));
  f->copies[f->copyCount++] = (AsyncCopy){to, from, bytes, sourceBytes, f->group};
}

static void async_commit(Thread *t) { ((Fiber *)t)->group++; }

// Completes all but the newest `groups` groups.
static void async_wait(Thread *t, u32 groups) {
  Fiber *f = (Fiber *)t;
  u32 kept = 0;
  for (u32 i = 0; i < f->copyCount; i++) {
    AsyncCopy c = f->copies[i];
    if (c.group + groups < f->group) {
      memset(c.to, 0, c.bytes);
      if (c.sourceBytes) memcpy(c.to, c.from, c.sourceBytes);
    } else {
      f->copies[kept++] = c;
    }
  }
  f->copyCount = kept;
}

// ---- races in shared memory ----

static int unordered(Slot *s, Thread *t, u32 thread, u32 epoch, u32 warpEpoch) {
  return thread != t->index && epoch == s->epoch && !(thread / 32 == t->warp && warpEpoch != s->warps[t->warp].epoch);
}

static void race_found(Thread *t, u32 offset, int line, const char *what, u32 other, int otherLine) {
  char text[768];
  snprintf(text, sizeof text, "race on byte %u of shared memory: %s by thread %u at %s, with no barrier between it and this access", offset - SPACE_START, what, other, line_text(otherLine));
  fault(t, line, 719, text, 0, 0);
}

static void race(Thread *t, u32 offset, u32 bytes, int access, int line) {
  Slot *s = ((Fiber *)t)->slot;
  u32 epoch = s->epoch, warpEpoch = s->warps[t->warp].epoch;
  for (u32 i = offset; i < offset + bytes; i++) {
    Shadow *x = &s->shadow[i];
    if (x->writeEpoch && unordered(s, t, x->writeThread, x->writeEpoch, x->writeWarpEpoch) && !(access == ATOMIC && x->writeAtomic))
      race_found(t, i, line, "written", x->writeThread, x->writeLine);
    if (access == READ) {
      int sameWarp = x->readThread / 32 == t->warp;
      if (x->readEpoch != epoch || (sameWarp && x->readers < 2 && x->readWarpEpoch != warpEpoch)) x->readers = 0;
      else if (!sameWarp) x->readers = 2;
      else if (x->readThread != t->index && x->readers == 0) x->readers = 1;
      x->readEpoch = epoch;
      x->readThread = t->index;
      x->readWarpEpoch = warpEpoch;
      x->readLine = line;
      continue;
    }
    if (x->readEpoch == epoch) {
      int sameWarp = x->readThread / 32 == t->warp;
      if (x->readers == 2 || (x->readers == 1 && (!sameWarp || x->readWarpEpoch == warpEpoch)) || unordered(s, t, x->readThread, x->readEpoch, x->readWarpEpoch))
        race_found(t, i, line, "read", x->readThread, x->readLine);
    }
    x->writeEpoch = epoch;
    x->writeThread = t->index;
    x->writeWarpEpoch = warpEpoch;
    x->writeAtomic = access == ATOMIC;
    x->writeLine = line;
  }
}

// ---- printf and assert ----

static void read_text(Thread *t, int line, u64 address, char *out, size_t bytes) {
  size_t n = 0;
  while (n + 1 < bytes && (out[n] = *(char *)at_generic(t, address + n, 1, READ, line))) n++;
  out[n] = 0;
}

static u32 print(Thread *t, int line, u64 format, u64 arguments) {
  char text[1024], spec[32], string[512];
  u64 at = arguments;
  read_text(t, line, format, text, sizeof text);
  for (const char *p = text; *p; p++) {
    if (*p != '%' || p[1] == '%') {
      p += *p == '%';
      fputc(*p, stdout);
      continue;
    }
    size_t n = 1 + strcspn(p + 1, "diouxXeEfFgGaAcsp");
    if (!p[n] || n + 1 >= sizeof spec) break;
    memcpy(spec, p, n + 1);
    spec[n + 1] = 0;
    char kind = p[n];
    int wide = strchr("eEfFgGaAsp", kind) || memchr(p, 'l', n) != NULL;
    if (wide) at = (at + 7) & ~7ull;
    const void *a = at_generic(t, at, wide ? 8 : 4, READ, line);
    at += wide ? 8 : 4;
    if (kind == 's') {
      read_text(t, line, *(const u64 *)a, string, sizeof string);
      printf(spec, string);
    } else if (strchr("eEfFgGaA", kind)) {
      printf(spec, *(const double *)a);
    } else if (wide) {
      printf(spec, *(const u64 *)a);
    } else {
      printf(spec, *(const u32 *)a);
    }
    p += n;
  }
  fflush(stdout);
  return 0;
}

static void assert_fail(Thread *t, int line, u64 message, u64 file, u32 sourceLine, u64 function) {
  char what[256], where[256], name[128], text[768];
  read_text(t, line, message, what, sizeof what);
  read_text(t, line, file, where, sizeof where);
  read_text(t, line, function, name, sizeof name);
  snprintf(text, sizeof text, "assertion `%s` failed in %s at %s:%u", what, name, where, sourceLine);
  fault(t, line, 710, text, 0, 0);
}

// ---- blocks ----

static void thread_ended(Fiber *f) {
  Slot *s = f->slot;
  Warp *w = &s->warps[f->thread.warp];
  async_commit(&f->thread);
  async_wait(&f->thread, 0);
  f->state = DONE;
  s->alive--;
  w->alive &= ~(1u << f->thread.lane);
  for (u32 i = 0; i < 32 && w->waiting; i++)
    if (w->waiting >> i & 1) try_collective(&s->fibers[f->thread.warp * 32 + i]);
  for (u32 i = 0; i < BARRIERS; i++)
    if (s->barriers[i].arrived && !s->barriers[i].expected && s->barriers[i].arrived == s->alive) complete_barrier(s, i);
  if (!s->alive) s->active = 0;
}

static void start_block(Slot *s, u64 number, const u8 *valid, const u32 *sharedAt, u32 sharedBytes) {
  const Launch *l = running;
  u32 threads = l->block[0] * l->block[1] * l->block[2];
  Block *b = &s->block;
  if (!s->fibers) s->fibers = calloc(MAX_THREADS, sizeof(Fiber));
  if (b->shared_bytes < sharedBytes || !b->shared) {
    free(b->shared);
    b->shared = aligned_alloc(1024, (sharedBytes + 1023) & ~1023u);
  }
  for (u32 i = 0; i < sharedBytes / 4; i++) ((u32 *)b->shared)[i] = POISON;
  if (settings.races && s->shadowBytes < sharedBytes) {
    free(s->shadow);
    s->shadow = calloc(sharedBytes, sizeof(Shadow));
    s->shadowBytes = sharedBytes;
  }
  u64 rest = number;
  for (int i = 0; i < 3; i++) {
    b->nctaid[i] = l->grid[i];
    b->ntid[i] = l->block[i];
    b->ctaid[i] = (u32)(rest % l->grid[i]);
    rest /= l->grid[i];
  }
  b->shared_valid = valid;
  b->shared_bytes = sharedBytes;
  b->shared_dynamic = l->dynamicShared;
  b->shared_total = l->translation->sharedStatic + l->dynamicShared;
  b->shared_at = sharedAt;
  b->global_at = l->globals;
  b->param = l->param;
  b->param_bytes = l->paramBytes;
  b->number = number;
  s->threads = s->alive = threads;
  s->active = 1;
  s->epoch = ++epochs;
  memset(s->warps, 0, sizeof s->warps);
  memset(s->barriers, 0, sizeof s->barriers);
  u32 localBytes = SPACE_START + 2 * l->translation->localBytes + 256;
  for (u32 i = 0; i < threads; i++) {
    Fiber *f = &s->fibers[i];
    Thread *t = &f->thread;
    t->rt = &runtime;
    t->block = b;
    t->tid[0] = i % l->block[0];
    t->tid[1] = i / l->block[0] % l->block[1];
    t->tid[2] = i / l->block[0] / l->block[1];
    t->index = i;
    t->lane = i % 32;
    t->warp = i / 32;
    t->carry = 0;
    if (t->local_bytes < localBytes) {
      free(t->local);
      t->local = aligned_alloc(64, (localBytes + 63) & ~63u);
      t->local_bytes = localBytes;
    }
    t->local_top = SPACE_START;
    f->slot = s;
    f->state = READY;
    f->copyCount = 0;
    f->group = 0;
    s->warps[t->warp].alive |= 1u << t->lane;
    prepare(f);
  }
}

static void deadlock(Slot *s) {
  u32 waiting = 0;
  Fiber *first = NULL, *other = NULL;
  for (u32 i = 0; i < s->threads; i++) {
    Fiber *f = &s->fibers[i];
    if (f->state == DONE) continue;
    waiting++;
    if (!first) first = f;
    else if (f->line != first->line && !other) other = f;
  }
  char one[512], two[640] = "";
  snprintf(one, sizeof one, "%s", line_text(first->line));
  if (other) snprintf(two, sizeof two, "; thread %u waits at %s", other->thread.index, line_text(other->line));
  fail(702, ", block (%u, %u, %u): deadlock, %u threads wait for ever; thread %u waits at %s%s", s->block.ctaid[0], s->block.ctaid[1], s->block.ctaid[2], waiting, first->thread.index, one, two);
}

// One turn of every ready thread of a block. Whether any ran.
static int turn(Slot *s) {
  static u16 permutation[MAX_THREADS];
  int ran = 0;
  u32 n = s->threads;
  if (settings.order == RANDOM) {
    for (u32 i = 0; i < n; i++) {
      u32 j = random_below(i + 1);
      permutation[i] = permutation[j];
      permutation[j] = (u16)i;
    }
  }
  for (u32 i = 0; i < n && !failure; i++) {
    Fiber *f = &s->fibers[settings.order == FORWARD ? i : settings.order == REVERSE ? n - 1 - i : permutation[i]];
    if (f->state != READY) continue;
    ran = 1;
    current = f;
    software_cuda_switch(&schedulerSp, f->sp);
  }
  return ran;
}

int execute_launch(const Launch *launch, char *message, size_t messageBytes) {
  const Translation *translation = launch->translation;
  running = launch;
  failure = 0;
  deadline = time(NULL) + settings.timeoutSeconds;
  runtime = (Runtime){.races = settings.races, .device = launch->device, .global_slow = global_slow, .fault = fault,
      .preempt = preempt, .race = race, .barrier = barrier, .collective = collective, .async_copy = async_copy, .async_commit = async_commit,
      .async_wait = async_wait, .print = print, .assert_fail = assert_fail};
  memory_tables(&runtime.arena, &runtime.arena_bytes, &runtime.pages, &runtime.ranges);
  refuel();

  u32 sharedBytes = translation->sharedEnd + launch->dynamicShared;
  sharedBytes = (sharedBytes + 3) & ~3u;
  u8 *valid = calloc(1, sharedBytes);
  u32 *sharedAt = calloc((size_t)translation->sharedCount + 1, sizeof(u32));
  for (int i = 0; i < translation->sharedCount; i++) {
    Variable *v = &translation->shared[i];
    sharedAt[i] = v->offset;
    memset(valid + v->offset, 1, v->dynamic ? launch->dynamicShared : v->bytes);
  }

  // The stack that signals of the JVM expect is not there while fibers run.
  sigset_t all, old;
  sigfillset(&all);
  sigdelset(&all, SIGSEGV);
  sigdelset(&all, SIGBUS);
  sigdelset(&all, SIGFPE);
  sigdelset(&all, SIGILL);
  sigdelset(&all, SIGABRT);
  pthread_sigmask(SIG_BLOCK, &all, &old);

  u64 blocks = (u64)launch->grid[0] * launch->grid[1] * launch->grid[2], started = 0;
  u32 resident = settings.order == RANDOM || settings.preempt ? MAX_RESIDENT : 1;
  // Blocks in random order: a step that has no factor in common with their number visits each once.
  u64 step = 1, first = 0;
  if (settings.order == RANDOM && blocks > 2) {
    first = random_below((u32)(blocks > 0xffffffff ? 0xffffffff : blocks));
    do {
      step = 1 + random_next() % (blocks - 1);
      u64 a = step, b = blocks;
      while (b) { u64 r = a % b; a = b; b = r; }
      if (a == 1) break;
    } while (1);
  } else if (settings.order == REVERSE) {
    first = blocks - 1;
    step = blocks - 1 ? blocks - 1 : 1;
  }
  for (u32 i = 0; i < MAX_RESIDENT; i++) slots[i].active = 0;
  for (;;) {
    int active = 0;
    for (u32 i = 0; i < resident && !failure; i++) {
      Slot *s = &slots[i];
      if (!s->active && started < blocks) {
        u64 number = (u64)(((unsigned __int128)started * step + first) % blocks);
        started++;
        start_block(s, number, valid, sharedAt, sharedBytes);
      }
      if (!s->active) continue;
      active = 1;
      if (!turn(s) && !failure) deadlock(s);
    }
    if (!active || failure) break;
  }
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  free(valid);
  free(sharedAt);
  if (failure) snprintf(message, messageBytes, "%s", failureText);
  return failure;
}
