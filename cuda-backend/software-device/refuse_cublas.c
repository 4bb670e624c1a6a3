// What the cuBLAS library does not have refuses by name. Weak, so that a definition elsewhere wins.

#define NOT_SUPPORTED 15   // CUBLAS_STATUS_NOT_SUPPORTED

int softwareCudaRefuse(const char *call, const char *what);

#define REFUSE(name)                                                                      \
  __attribute__((weak)) int name(void);                                                   \
  int name(void) {                                                                        \
    (void)softwareCudaRefuse(#name, "the software CUDA device's cuBLAS does not have this function"); \
    return NOT_SUPPORTED;                                                                 \
  }
#include "cublas_functions.def"
