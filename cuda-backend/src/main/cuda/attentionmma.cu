// attention.cu's functions in bf16 on tensor cores: sm_80 and later.
#include "fornax.cuh"
typedef bf16 half_t;
#include "attentionmma.cuh"

// The host knows the tiles and the shared memory of each.
ATTENTION(mma, 32, 64, 4, 32, 4, 3)
ATTENTION(mma, 64, 64, 3, 32, 3, 2)
ATTENTION(mma, 128, 32, 2, 32, 2, 2)
