// A libnvrtc.so.13 for tests: the NVRTC of CUDA 12 whose path SOFTWARE_CUDA_NVRTC gives, under the
// name and with the version of CUDA 13, which knows no card before 7.5.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#define OLDEST 75

static void *function(const char *name) {
  static void *library;
  if (!library) {
    const char *builtins = getenv("SOFTWARE_CUDA_NVRTC_BUILTINS");
    if (builtins) dlopen(builtins, RTLD_NOW | RTLD_GLOBAL);
    library = dlopen(getenv("SOFTWARE_CUDA_NVRTC"), RTLD_NOW | RTLD_LOCAL);
  }
  void *found = library ? dlsym(library, name) : NULL;
  if (!found) {
    fprintf(stderr, "nvrtc13: no %s: %s\n", name, dlerror());
    abort();
  }
  return found;
}

#define FORWARD(name, parameters, arguments) \
  int name parameters; \
  int name parameters { return ((int (*) parameters)function(#name)) arguments; }

int nvrtcVersion(int *major, int *minor);
int nvrtcVersion(int *major, int *minor) {
  *major = 13;
  *minor = 0;
  return 0;
}

static int archs(int *list) {
  int all = 0, kept = 0, found[256];
  ((int (*)(int *))function("nvrtcGetNumSupportedArchs"))(&all);
  if (all > 256) abort();
  ((int (*)(int *))function("nvrtcGetSupportedArchs"))(found);
  for (int i = 0; i < all; i++) {
    if (found[i] >= OLDEST) {
      if (list) list[kept] = found[i];
      kept++;
    }
  }
  return kept;
}

int nvrtcGetNumSupportedArchs(int *count);
int nvrtcGetNumSupportedArchs(int *count) {
  *count = archs(NULL);
  return 0;
}

int nvrtcGetSupportedArchs(int *list);
int nvrtcGetSupportedArchs(int *list) {
  archs(list);
  return 0;
}

FORWARD(nvrtcCreateProgram, (void **program, const char *source, const char *name, int count, const char *const *headers, const char *const *names), (program, source, name, count, headers, names))
FORWARD(nvrtcCompileProgram, (void *program, int count, const char *const *options), (program, count, options))
FORWARD(nvrtcDestroyProgram, (void **program), (program))
FORWARD(nvrtcGetProgramLogSize, (void *program, size_t *bytes), (program, bytes))
FORWARD(nvrtcGetProgramLog, (void *program, char *log), (program, log))
FORWARD(nvrtcGetPTXSize, (void *program, size_t *bytes), (program, bytes))
FORWARD(nvrtcGetPTX, (void *program, char *code), (program, code))
FORWARD(nvrtcGetCUBINSize, (void *program, size_t *bytes), (program, bytes))
FORWARD(nvrtcGetCUBIN, (void *program, char *code), (program, code))
