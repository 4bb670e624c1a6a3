// The translator from PTX to C: parse a module once, then translate its kernels one at a time.

#ifndef SOFTWARE_CUDA_PTX_H
#define SOFTWARE_CUDA_PTX_H

#include "device.h"

#include <setjmp.h>
#include <stddef.h>

typedef struct Text {
  char *data;
  size_t length, capacity;
} Text;

void text_add(Text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

enum Space { GENERIC, GLOBAL, CONST, SHARED, LOCAL, PARAM };

// A variable of the module or, for shared memory, of a kernel.
typedef struct Variable {
  const char *name;
  enum Space space;
  u32 align;
  u64 bytes;
  int dynamic;            // .extern .shared x[]: whatever the launch gives
  u8 *initial;            // null: zeros
  u32 offset;             // in shared memory
} Variable;

typedef struct Parameter {
  const char *name;
  u32 align, bytes, offset;
} Parameter;

typedef struct Function {
  const char *name;
  int entry;
  Parameter *params, *results;
  int paramCount, resultCount;
  u32 paramBytes;
  int body, end;          // tokens: after the opening brace, at the closing one; 0 where only declared
  u32 maxThreads;         // from .maxntid or .reqntid; 0 where not given
  u32 requiredThreads[3]; // from .reqntid
} Function;

typedef struct Token {
  const char *text;
  int line;
} Token;

typedef struct Ptx {
  const char *source;
  Token *tokens;
  int tokenCount;
  Variable *variables;    // .global and .const
  int variableCount;
  Variable *sharedModule; // .shared at the level of the module
  int sharedModuleCount;
  Function *functions;
  int functionCount;
  int versionMajor, versionMinor, target;
  char error[1024];
  jmp_buf failed;
} Ptx;

// One translated kernel.
typedef struct Translation {
  Text code;
  Variable *shared;       // its shared variables with their offsets, gaps between them
  int sharedCount;
  u32 sharedStatic;       // bytes of static shared memory, packed as a real device would
  u32 sharedEnd;          // where dynamic shared memory begins
  u32 localBytes;
  int dynamicShared;
} Translation;

// Null where the text cannot be parsed: `error` says why, with the line.
Ptx *ptx_parse(const char *source, char *error, size_t errorBytes);
Function *ptx_entry(Ptx *ptx, const char *name);
// 0, or -1 with the reason in ptx->error.
int ptx_translate(Ptx *ptx, Function *entry, Translation *out);
// The text of a line, and where `-lineinfo` says that it comes from.
void ptx_describe_line(const char *source, int line, char *out, size_t bytes);

#endif
