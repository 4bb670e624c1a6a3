// What a test can choose: by environment variable when the library loads, or softwareCudaSet later.

#ifndef SOFTWARE_CUDA_SETTINGS_H
#define SOFTWARE_CUDA_SETTINGS_H

#include "device.h"

enum Order { FORWARD, REVERSE, RANDOM };
enum Streams { LAZY, EAGER, SHUFFLED };

typedef struct Settings {
  int major, minor;        // SOFTWARE_CUDA_CAPABILITY=8.0
  int devices;             // SOFTWARE_CUDA_DEVICES=1
  int driverVersion;       // SOFTWARE_CUDA_DRIVER=12.9
  u64 memory;              // SOFTWARE_CUDA_MEMORY=16g: bytes of each device
  enum Order order;        // SOFTWARE_CUDA_ORDER=forward|reverse|random
  u64 seed;                // SOFTWARE_CUDA_SEED=1
  int preempt;             // SOFTWARE_CUDA_PREEMPT=0: mean number of memory accesses between preemptions
  int races;               // SOFTWARE_CUDA_RACES=0|1
  enum Streams streams;    // SOFTWARE_CUDA_STREAMS=lazy|eager|random
  int count;               // SOFTWARE_CUDA_COUNT=0|1: record, do not execute
  int quiet;               // SOFTWARE_CUDA_QUIET=0|1: faults are not printed, only kept
  int timeoutSeconds;      // SOFTWARE_CUDA_TIMEOUT=300: of one launch
  char log[512];           // SOFTWARE_CUDA_LOG=file of JSON lines
  char cache[512];         // SOFTWARE_CUDA_CACHE=folder of compiled kernels
  char substitute[512];    // SOFTWARE_CUDA_SUBSTITUTE=PTX file, loaded in place of the module that begins with the same kernel
} Settings;

extern Settings settings;

u64 random_next(void);
// A number in [0, n).
u32 random_below(u32 n);
void random_seed(u64 seed);

#endif
