// What the driver does not have refuses by name. Weak, so that a definition elsewhere wins.

#include "driver.h"

#define REFUSE(name)                                                                      \
  API __attribute__((weak)) CUresult name(void);                                          \
  CUresult name(void) { return refused(CUDA_ERROR_NOT_SUPPORTED, #name, "the software CUDA device does not have this function"); }
#include "cuda_functions.def"
