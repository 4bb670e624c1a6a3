// Products of f16 matrices: sm_75 and later.
#include "matmulmma.cuh"

ALL_TILES(f16, matmul_mma_f16)
