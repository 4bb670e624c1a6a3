// Runs one launch of a translated kernel.

#ifndef SOFTWARE_CUDA_EXECUTE_H
#define SOFTWARE_CUDA_EXECUTE_H

#include "ptx.h"

typedef struct Launch {
  const char *name;
  Kernel kernel;
  const Translation *translation;
  const char *source;       // the module's PTX, for messages
  const u64 *globals;       // addresses of the module's variables
  u32 grid[3], block[3];
  u32 dynamicShared;
  const u8 *param;
  u32 paramBytes;
  int device;
} Launch;

// 0 or a CUresult; `message` then says which thread did what at which line.
int execute_launch(const Launch *launch, char *message, size_t messageBytes);

#endif
