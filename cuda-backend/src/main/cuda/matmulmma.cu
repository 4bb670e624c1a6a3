// Products of bf16 matrices: sm_80 and later.
#include "matmulmma.cuh"

ALL_TILES(bf16, matmul_mma)
