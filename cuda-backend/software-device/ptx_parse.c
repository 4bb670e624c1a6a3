// Reads PTX: tokens, then the declarations of the module. Bodies are left to ptx_translate.c.

#include "ptx.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_add(Text *text, const char *format, ...) {
  for (;;) {
    va_list arguments;
    va_start(arguments, format);
    size_t room = text->capacity - text->length;
    int n = vsnprintf(text->data ? text->data + text->length : NULL, room, format, arguments);
    va_end(arguments);
    if ((size_t)n < room) {
      text->length += (size_t)n;
      return;
    }
    text->capacity = (text->capacity + (size_t)n + 1) * 2;
    text->data = realloc(text->data, text->capacity);
  }
}

static void fail(Ptx *ptx, int line, const char *format, ...) __attribute__((noreturn, format(printf, 3, 4)));

static void fail(Ptx *ptx, int line, const char *format, ...) {
  char what[768];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  snprintf(ptx->error, sizeof ptx->error, "PTX line %d: %s", line, what);
  longjmp(ptx->failed, 1);
}

static int is_word(char c) { return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '.' || c == '%'; }

static void tokenize(Ptx *ptx) {
  int capacity = 1024, line = 1;
  ptx->tokens = malloc(sizeof(Token) * (size_t)capacity);
  const char *p = ptx->source;
  while (*p) {
    if (*p == '\n') { line++; p++; continue; }
    if (isspace((unsigned char)*p)) { p++; continue; }
    if (p[0] == '/' && p[1] == '/') { while (*p && *p != '\n') p++; continue; }
    if (p[0] == '/' && p[1] == '*') {
      for (p += 2; *p && !(p[0] == '*' && p[1] == '/'); p++) if (*p == '\n') line++;
      if (*p) p += 2;
      continue;
    }
    const char *start = p;
    if (*p == '"') {
      for (p++; *p && *p != '"'; p++) if (*p == '\\' && p[1]) p++;
      if (*p) p++;
    } else if (is_word(*p)) {
      // L1::no_allocate is part of an opcode
      while (is_word(*p) || (p[0] == ':' && p[1] == ':' && (p++, 1))) p++;
    } else {
      p++;
    }
    if (ptx->tokenCount + 2 > capacity) ptx->tokens = realloc(ptx->tokens, sizeof(Token) * (size_t)(capacity *= 2));
    ptx->tokens[ptx->tokenCount++] = (Token){strndup(start, (size_t)(p - start)), line};
  }
  ptx->tokens[ptx->tokenCount] = (Token){"", line};
}

typedef struct Reader { Ptx *ptx; int at; } Reader;

static const char *peek(Reader *r) { return r->ptx->tokens[r->at].text; }
static int line_of(Reader *r) { return r->ptx->tokens[r->at].line; }
static const char *next(Reader *r) {
  if (!*peek(r)) fail(r->ptx, line_of(r), "the text ends too early");
  return r->ptx->tokens[r->at++].text;
}
static int accept(Reader *r, const char *text) {
  if (strcmp(peek(r), text)) return 0;
  r->at++;
  return 1;
}
static void expect(Reader *r, const char *text) {
  if (!accept(r, text)) fail(r->ptx, line_of(r), "expected `%s`, got `%s`", text, peek(r));
}
static void skip_line(Reader *r) {
  int line = line_of(r);
  while (*peek(r) && line_of(r) == line) r->at++;
}
static void skip_braces(Reader *r) {
  int depth = 0;
  do {
    const char *t = next(r);
    depth += !strcmp(t, "{") - !strcmp(t, "}");
  } while (depth);
}
static u64 number(Reader *r) {
  const char *t = next(r);
  char *end;
  u64 v = strtoull(t, &end, 0);
  if (end == t) fail(r->ptx, line_of(r), "expected a number, got `%s`", t);
  return v;
}

static u32 type_bytes(Ptx *ptx, int line, const char *type) {
  const char *digits = type + 1;
  while (*digits && !isdigit((unsigned char)*digits)) digits++;
  u32 bits = (u32)atoi(digits);
  if (bits != 8 && bits != 16 && bits != 32 && bits != 64) fail(ptx, line, "unknown type `%s`", type);
  return bits / 8;
}

// .space [.align N] .type name[count]...  = {...}
static Variable variable(Reader *r, enum Space space, int external) {
  Variable v = {.space = space, .align = 0};
  u32 element = 0;
  while (*peek(r) == '.') {
    const char *t = next(r);
    if (!strcmp(t, ".align")) v.align = (u32)number(r);
    else if (!strcmp(t, ".attribute")) { while (strcmp(next(r), ")")); }
    else if (!strcmp(t, ".v2") || !strcmp(t, ".v4")) fail(r->ptx, line_of(r), "variables of vector type are not supported");
    else element = type_bytes(r->ptx, line_of(r), t);
  }
  v.name = next(r);
  if (v.align < element) v.align = element;
  u64 count = 1;
  while (accept(r, "[")) {
    if (accept(r, "]")) { count = 0; continue; }
    count *= number(r);
    expect(r, "]");
  }
  v.bytes = count * element;
  v.dynamic = external && space == SHARED && count == 0;
  if (external && !v.dynamic) fail(r->ptx, line_of(r), "external variable `%s`: linking is not supported", v.name);
  if (accept(r, "=")) {
    v.initial = calloc(1, v.bytes);
    u64 at = 0;
    int depth = 0;
    do {
      if (accept(r, "{")) { depth++; continue; }
      if (accept(r, "}")) { depth--; continue; }
      if (accept(r, ",")) continue;
      int negative = accept(r, "-");
      const char *t = next(r);
      u64 bits;
      if (t[0] == '0' && (t[1] == 'f' || t[1] == 'F' || t[1] == 'd' || t[1] == 'D')) bits = strtoull(t + 2, NULL, 16);
      else if (isdigit((unsigned char)t[0])) bits = strtoull(t, NULL, 0);
      else fail(r->ptx, line_of(r), "initial value `%s` of `%s` is not supported", t, v.name);
      if (negative) bits = 0 - bits;
      if (at + element > v.bytes) fail(r->ptx, line_of(r), "too many initial values of `%s`", v.name);
      memcpy(v.initial + at, &bits, element);
      at += element;
    } while (depth);
  }
  expect(r, ";");
  return v;
}

static int parameters(Reader *r, Parameter **out) {
  int count = 0;
  u32 offset = 0;
  *out = NULL;
  if (!accept(r, "(")) return 0;
  while (!accept(r, ")")) {
    accept(r, ",");
    expect(r, ".param");
    Parameter p = {0};
    u32 element = 0;
    while (*peek(r) == '.') {
      const char *t = next(r);
      if (!strcmp(t, ".align")) p.align = (u32)number(r);
      else if (!strcmp(t, ".ptr") || !strcmp(t, ".global") || !strcmp(t, ".shared") || !strcmp(t, ".const") || !strcmp(t, ".local")) continue;
      else element = type_bytes(r->ptx, line_of(r), t);
      if (!strcmp(t, ".align") && element) p.align = 0;  // the alignment of what a pointer points to
    }
    p.name = next(r);
    p.bytes = element;
    if (accept(r, "[")) {
      p.bytes = (u32)number(r) * element;
      expect(r, "]");
    }
    if (p.align < element) p.align = element;
    offset = (offset + p.align - 1) / p.align * p.align;
    p.offset = offset;
    offset += p.bytes;
    *out = realloc(*out, sizeof(Parameter) * (size_t)(count + 1));
    (*out)[count++] = p;
  }
  return count;
}

static void function(Reader *r, int entry) {
  Function f = {.entry = entry};
  if (!entry && !strcmp(peek(r), "(")) f.resultCount = parameters(r, &f.results);
  f.name = next(r);
  f.paramCount = parameters(r, &f.params);
  for (int i = 0; i < f.paramCount; i++) f.paramBytes = f.params[i].offset + f.params[i].bytes;
  while (*peek(r) == '.') {
    const char *t = next(r);
    if (!strcmp(t, ".maxntid") || !strcmp(t, ".reqntid")) {
      u32 n[3] = {1, 1, 1};
      int i = 0;
      do n[i++] = (u32)number(r); while (i < 3 && accept(r, ","));
      f.maxThreads = n[0] * n[1] * n[2];
      if (!strcmp(t, ".reqntid")) memcpy(f.requiredThreads, n, sizeof n);
    } else if (!strcmp(t, ".minnctapersm") || !strcmp(t, ".maxnreg") || !strcmp(t, ".maxnctapersm")) {
      (void)number(r);
    } else if (!strcmp(t, ".noreturn")) {
    } else if (!strcmp(t, ".pragma")) {
      (void)next(r);
      accept(r, ";");
    } else {
      fail(r->ptx, line_of(r), "directive `%s` of `%s` is not supported", t, f.name);
    }
  }
  if (!accept(r, ";")) {
    f.body = r->at + 1;
    skip_braces(r);
    f.end = r->at - 1;
  }
  Ptx *ptx = r->ptx;
  for (int i = 0; i < ptx->functionCount; i++) {
    if (!strcmp(ptx->functions[i].name, f.name)) {
      if (f.body) ptx->functions[i] = f;
      return;
    }
  }
  ptx->functions = realloc(ptx->functions, sizeof(Function) * (size_t)(ptx->functionCount + 1));
  ptx->functions[ptx->functionCount++] = f;
}

static void module(Reader *r) {
  Ptx *ptx = r->ptx;
  while (*peek(r)) {
    int external = 0;
    const char *t;
    for (;;) {
      t = next(r);
      if (!strcmp(t, ".extern")) external = 1;
      else if (strcmp(t, ".visible") && strcmp(t, ".weak") && strcmp(t, ".common")) break;
    }
    if (!strcmp(t, ".version")) {
      if (sscanf(next(r), "%d.%d", &ptx->versionMajor, &ptx->versionMinor) != 2) fail(ptx, line_of(r), "a bad .version");
    } else if (!strcmp(t, ".target")) {
      if (sscanf(peek(r), "sm_%d", &ptx->target) != 1) fail(ptx, line_of(r), "unknown target `%s`", peek(r));
      skip_line(r);
    } else if (!strcmp(t, ".address_size")) {
      if (number(r) != 64) fail(ptx, line_of(r), "only 64-bit addresses are supported");
    } else if (!strcmp(t, ".file") || !strcmp(t, ".loc")) {
      skip_line(r);
    } else if (!strcmp(t, ".section")) {
      (void)next(r);
      skip_braces(r);
    } else if (!strcmp(t, ".pragma")) {
      (void)next(r);
      expect(r, ";");
    } else if (!strcmp(t, ".global") || !strcmp(t, ".const")) {
      Variable v = variable(r, t[1] == 'g' ? GLOBAL : CONST, external);
      ptx->variables = realloc(ptx->variables, sizeof v * (size_t)(ptx->variableCount + 1));
      ptx->variables[ptx->variableCount++] = v;
    } else if (!strcmp(t, ".shared")) {
      Variable v = variable(r, SHARED, external);
      ptx->sharedModule = realloc(ptx->sharedModule, sizeof v * (size_t)(ptx->sharedModuleCount + 1));
      ptx->sharedModule[ptx->sharedModuleCount++] = v;
    } else if (!strcmp(t, ".entry") || !strcmp(t, ".func")) {
      function(r, t[1] == 'e');
    } else {
      fail(ptx, line_of(r), "`%s` is not supported", t);
    }
  }
}

static int parse(Ptx *ptx) {
  if (setjmp(ptx->failed)) return -1;
  tokenize(ptx);
  Reader r = {ptx, 0};
  module(&r);
  if (!ptx->versionMajor || !ptx->target) fail(ptx, 1, "no .version or no .target");
  return 0;
}

Ptx *ptx_parse(const char *source, char *error, size_t errorBytes) {
  Ptx *ptx = calloc(1, sizeof *ptx);
  ptx->source = strdup(source);
  if (parse(ptx) == 0) return ptx;
  snprintf(error, errorBytes, "%s", ptx->error);
  return NULL;
}

Function *ptx_entry(Ptx *ptx, const char *name) {
  for (int i = 0; i < ptx->functionCount; i++)
    if (ptx->functions[i].entry && ptx->functions[i].body && !strcmp(ptx->functions[i].name, name)) return ptx->functions + i;
  return NULL;
}

void ptx_describe_line(const char *source, int line, char *out, size_t bytes) {
  int at = 1, file = 0, fileLine = 0, length = 0;
  const char *text = "", *p = source;
  for (; *p && at <= line; at++) {
    const char *end = strchr(p, '\n');
    if (!end) end = p + strlen(p);
    while (p < end && isspace((unsigned char)*p)) p++;
    if (!strncmp(p, ".loc", 4)) sscanf(p + 4, "%d %d", &file, &fileLine);
    text = p;
    length = (int)(end - p);
    p = *end ? end + 1 : end;
  }
  char name[256] = "";
  for (const char *f = source; file && (f = strstr(f, ".file")); f += 5) {
    int number;
    if (sscanf(f + 5, "%d \"%255[^\"]", &number, name) == 2 && number == file) break;
    name[0] = 0;
  }
  if (name[0]) snprintf(out, bytes, "PTX line %d: %.*s (%s:%d)", line, length, text, name, fileLine);
  else snprintf(out, bytes, "PTX line %d: %.*s", line, length, text);
}
