// What the kernels of attention share: their arguments, which keys a query sees, dropout.
#pragma once

#include "philox.cuh"

// Where an array [B, H, T, ·] lies: strides in elements; 1 along the last axis.
struct Place {
  i64 batch, head, row;
};

// Shapes: q [B, H, Tq, D], k [B, H, Tk, D], v [B, H, Tk, E], y [B, H, Tq, E]; logSumExp and delta
// (Σ dy⊙y of a row) [B, H, Tq], contiguous. A gradient lies where its name says.
template <typename T>
struct AttentionArguments {
  const T* q;
  const T* k;
  const T* v;
  T* y;  // read by the gradient
  const T* dy;
  T* dq;
  T* dk;
  T* dv;
  float* logSumExp;
  float* delta;
  const u8* mask;    // null: none
  const u32* state;  // of the dropout; null: none
  Place qAt, kAt, vAt, yAt, dyAt, dqAt, dkAt, dvAt, maskAt;
  i64 maskColumn;
  u32 heads, Tq, Tk, D, E;
  float scale;
  int causal;
  int aligned;  // whether rows can be moved 16 bytes at a time
  u32 stream, threshold;
  float factor;  // of what the dropout keeps
  u32 unused;
};

// The head that a block works on: blockIdx.y of the sequence blockIdx.z.
template <typename T>
__device__ __forceinline__ T* headOf(T* x, const Place& at) {
  return x + blockIdx.z * at.batch + blockIdx.y * at.head;
}

__device__ __forceinline__ u32 headNumber(u32 heads) { return blockIdx.z * heads + blockIdx.y; }

// Query i sees key j up to i + Tk − Tq.
template <typename T>
__device__ __forceinline__ bool sees(const AttentionArguments<T>& p, u32 query, u32 key) {
  if (query >= p.Tq || key >= p.Tk || (p.causal && (i64)key > (i64)query + p.Tk - p.Tq)) {
    return false;
  }
  return !p.mask || headOf(p.mask, p.maskAt)[query * p.maskAt.row + key * p.maskColumn] != 0;
}

// One after the last key that a query before `end` sees.
template <typename T>
__device__ __forceinline__ u32 keysBefore(const AttentionArguments<T>& p, u32 end) {
  i64 last = p.causal ? (i64)min(end, p.Tq) + p.Tk - p.Tq : p.Tk;
  return last < 0 ? 0 : (u32)last;
}

// The first query that sees the key `key`, or Tq.
template <typename T>
__device__ __forceinline__ u32 firstQuery(const AttentionArguments<T>& p, u32 key) {
  i64 first = p.causal ? (i64)key - p.Tk + p.Tq : 0;
  return first < 0 ? 0 : first > p.Tq ? p.Tq : (u32)first;
}

// Whether all of `queries` queries see all of `keys` keys, so that none need be asked.
template <typename T>
__device__ __forceinline__ bool allSeen(
    const AttentionArguments<T>& p, u32 query, u32 queries, u32 key, u32 keys) {
  return !p.mask && query + queries <= p.Tq && key + keys <= p.Tk
      && (!p.causal || (i64)key + keys - 1 <= (i64)query + p.Tk - p.Tq);
}

// The dropout's factors of one thread's weights. An element's word is that of its row-major number
// in [B, H, Tq, Tk], so that the mask does not depend on how the work is split; neighbours share
// a block of four words.
struct Dropout {
  u64 block = ~0ull;
  uint4 words;

  template <typename T>
  __device__ __forceinline__ float factor(const AttentionArguments<T>& p, u32 query, u32 key) {
    u64 element = ((u64)headNumber(p.heads) * p.Tq + query) * p.Tk + key;
    if (element >> 2 != block) {
      block = element >> 2;
      words = philox(p.state, p.stream, (u32)block);
    }
    u32 at = (u32)element & 3;
    u32 word = at == 0 ? words.x : at == 1 ? words.y : at == 2 ? words.z : words.w;
    return word >= p.threshold ? p.factor : 0;
  }
};
