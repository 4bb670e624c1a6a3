// Products of F32 matrices whose factors are rounded to TF32 on their way into the tensor cores:
// sm_80 and later.
#include "matmulmma.cuh"

ALL_TILES(float, matmul_tf32)
