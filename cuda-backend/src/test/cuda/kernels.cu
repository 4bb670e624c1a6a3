// Kernels that the tests of the software device run. kernels.ptx beside the tests is what NVRTC
// 12.9 makes of this file for compute_80 with -lineinfo; the tests need no NVRTC.

typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned long long u64;

#define ALL_LANES 0xffffffffu

extern "C" __global__ void vectorAdd(const float* a, const float* b, float* c, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

// One sum for each block of 256 threads, as a tree in shared memory.
extern "C" __global__ void blockSum(const float* x, float* y, int n) {
  __shared__ float sums[256];
  float sum = 0;
  for (int i = blockIdx.x * 256 + threadIdx.x; i < n; i += gridDim.x * 256) sum += x[i];
  sums[threadIdx.x] = sum;
  __syncthreads();
  for (int k = 128; k > 0; k >>= 1) {
    if (threadIdx.x < k) sums[threadIdx.x] += sums[threadIdx.x + k];
    __syncthreads();
  }
  if (threadIdx.x == 0) y[blockIdx.x] = sums[0];
}

// Rows of n values: softmax by one block of four warps for each row.
extern "C" __global__ void softmaxRow(const float* x, float* y, int n) {
  __shared__ float partial[4];
  const float* row = x + (u64)blockIdx.x * n;
  float* out = y + (u64)blockIdx.x * n;
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  float most = __int_as_float(0xff800000);
  for (int i = threadIdx.x; i < n; i += 128) most = fmaxf(most, row[i]);
  for (int k = 16; k > 0; k >>= 1) most = fmaxf(most, __shfl_xor_sync(ALL_LANES, most, k));
  if (lane == 0) partial[warp] = most;
  __syncthreads();
  most = fmaxf(fmaxf(partial[0], partial[1]), fmaxf(partial[2], partial[3]));
  __syncthreads();
  float sum = 0;
  for (int i = threadIdx.x; i < n; i += 128) sum += __expf(row[i] - most);
  for (int k = 16; k > 0; k >>= 1) sum += __shfl_xor_sync(ALL_LANES, sum, k);
  if (lane == 0) partial[warp] = sum;
  __syncthreads();
  sum = partial[0] + partial[1] + partial[2] + partial[3];
  for (int i = threadIdx.x; i < n; i += 128) out[i] = __expf(row[i] - most) / sum;
}

// The sum of the first `active` lanes' values; only those lanes take part.
extern "C" __global__ void partialWarpSum(const int* x, int* y, int active) {
  int lane = threadIdx.x;
  u32 mask = (1u << active) - 1;
  if (lane < active) {
    int sum = x[lane];
    for (int k = 1; k < active; k <<= 1) {
      int other = __shfl_down_sync(mask, sum, k);
      if (lane + k < active) sum += other;
    }
    if (lane == 0) *y = sum;
  }
}

extern "C" __global__ void histogram(const int* x, int* counts, int n) {
  __shared__ int local[16];
  if (threadIdx.x < 16) local[threadIdx.x] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) atomicAdd(&local[x[i] & 15], 1);
  __syncthreads();
  if (threadIdx.x < 16) atomicAdd(&counts[threadIdx.x], local[threadIdx.x]);
}

// [rows, columns] to [columns, rows] by tiles of 32 x 32 in dynamic shared memory.
extern "C" __global__ void transpose(const float* x, float* y, int rows, int columns) {
  extern __shared__ float tile[];
  int column = blockIdx.x * 32 + threadIdx.x, row = blockIdx.y * 32 + threadIdx.y;
  if (row < rows && column < columns) tile[threadIdx.y * 33 + threadIdx.x] = x[row * columns + column];
  __syncthreads();
  int r = blockIdx.x * 32 + threadIdx.y, c = blockIdx.y * 32 + threadIdx.x;
  if (r < columns && c < rows) y[r * rows + c] = tile[threadIdx.x * 33 + threadIdx.y];
}

// The last block to come adds up what all have written.
__device__ u32 ticket;
extern "C" __global__ void sumByLastBlock(const float* x, float* partial, float* y, int n) {
  __shared__ bool last;
  if (threadIdx.x == 0) {
    float sum = 0;
    for (int i = blockIdx.x; i < n; i += gridDim.x) sum += x[i];
    partial[blockIdx.x] = sum;
    __threadfence();
    last = atomicAdd(&ticket, 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    float sum = 0;
    for (int i = 0; i < gridDim.x; i++) sum += ((volatile float*)partial)[i];
    *y = sum;
    ticket = 0;
  }
}

// Votes, matches and the like: one word of results for each lane.
extern "C" __global__ void warpVotes(const int* x, int* out) {
  int lane = threadIdx.x, v = x[lane];
  out[lane] = __ballot_sync(ALL_LANES, v > 10);
  out[32 + lane] = __any_sync(ALL_LANES, v == 31) + 2 * __all_sync(ALL_LANES, v >= 0);
  out[64 + lane] = __match_any_sync(ALL_LANES, v & 3);
  out[96 + lane] = __reduce_add_sync(ALL_LANES, v);
  out[128 + lane] = __shfl_up_sync(ALL_LANES, v, 3);
  out[160 + lane] = __shfl_sync(ALL_LANES, v, 5, 8);
  out[192 + lane] = __syncthreads_count(v > 10);
  out[224 + lane] = __reduce_max_sync(ALL_LANES, v);
}

__constant__ int weights[4] = {1, 10, 100, 1000};

__device__ __noinline__ int twist(int x, int* memo) {
  memo[x & 7] += x;
  return x * 3 + memo[(x + 1) & 7];
}

// A function that is called, a table of jumps, an array in local memory, constant memory.
extern "C" __global__ void control(const int* x, int* y, int n) {
  int i = threadIdx.x;
  if (i >= n) return;
  int memo[8];
  for (int k = 0; k < 8; k++) memo[k] = k;
  int v = x[i], r = 0;
  switch (v % 7) {
    case 0: r = 5; break;
    case 1: r = v * 2; break;
    case 2: r = weights[v & 3]; break;
    case 3: r = v / 3; break;
    case 4: r = -v; break;
    case 5: r = v ^ 0x55; break;
    default: r = 1;
  }
  for (int k = 0; k < (v & 3); k++) r += twist(r, memo);
  y[i] = r + memo[v & 7];
}

__device__ __forceinline__ u32 sharedAddress(const void* p) { return (u32)__cvta_generic_to_shared(p); }

// c [16, 8] = a [16, 32] b [8, 32]^T by one warp: bf16 by cp.async, ldmatrix and mma.
extern "C" __global__ void mmaBf16(const u16* a, const u16* b, float* c) {
  __shared__ __align__(16) u16 tileA[16 * 32];
  __shared__ __align__(16) u16 tileB[8 * 32];
  int lane = threadIdx.x;
  for (int i = lane; i < 64; i += 32) asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(sharedAddress(tileA + 8 * i)), "l"(a + 8 * i));
  asm volatile("cp.async.ca.shared.global [%0], [%1], 16;" ::"r"(sharedAddress(tileB + 8 * lane)), "l"(b + 8 * lane));
  asm volatile("cp.async.commit_group;");
  asm volatile("cp.async.wait_group 0;" ::: "memory");
  __syncwarp();
  float sum[4] = {0, 0, 0, 0};
  for (int k = 0; k < 32; k += 16) {
    u32 x[4], w[2];
    u32 rowA = sharedAddress(tileA + (lane & 15) * 32 + k + (lane >> 4) * 8), rowB = sharedAddress(tileB + (lane & 7) * 32 + k + (lane >> 3 & 1) * 8);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "r"(rowA));
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];" : "=r"(w[0]), "=r"(w[1]) : "r"(rowB));
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3]) : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(w[0]), "r"(w[1]));
  }
  int group = lane >> 2, member = lane & 3;
  for (int i = 0; i < 4; i++) c[(group + (i >> 1) * 8) * 8 + member * 2 + (i & 1)] = sum[i];
}

// c [16, 8] = a [16, 8] b [8, 8] (b by rows) in tf32.
extern "C" __global__ void mmaTf32(const float* a, const float* b, float* c) {
  int lane = threadIdx.x, group = lane >> 2, member = lane & 3;
  u32 x[4], w[2];
  float sum[4] = {0, 0, 0, 0};
  for (int i = 0; i < 4; i++) asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(x[i]) : "f"(a[(group + (i & 1) * 8) * 8 + member + (i >> 1) * 4]));
  for (int i = 0; i < 2; i++) asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(w[i]) : "f"(b[(member + i * 4) * 8 + group]));
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3]) : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(w[0]), "r"(w[1]));
  for (int i = 0; i < 4; i++) c[(group + (i >> 1) * 8) * 8 + member * 2 + (i & 1)] = sum[i];
}

// Waits for another thread of its block through shared memory.
extern "C" __global__ void producerAndConsumer(int* y) {
  __shared__ volatile int flag;
  if (threadIdx.x == 0) flag = 0;
  __syncthreads();
  if (threadIdx.x == 0) {
    while (flag == 0) {
    }
    *y = flag;
  }
  if (threadIdx.x == 32) flag = 7;
}

extern "C" __global__ void says(int n, float x) {
  if (threadIdx.x == 0) printf("n %d x %.2f %s\n", n, x, "done");
}
