// attention.cu's functions in f16 on tensor cores: sm_75 and later. Heads of 128 need more shared
// memory than cards before sm_80 have.
#include "fornax.cuh"
typedef f16 half_t;
#include "attentionmma.cuh"

// The host knows the tiles and the shared memory of each.
ATTENTION(mma_f16, 32, 64, 4, 32, 4, 3)
ATTENTION(mma_f16, 64, 64, 3, 32, 3, 2)
ATTENTION(mma_f16, 128, 32, 2, 32, 2, 2)
