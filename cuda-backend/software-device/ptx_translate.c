// Translates one kernel, and the functions that it calls, from PTX to C. One instruction becomes
// one statement; blocks become blocks, so that C's scopes are PTX's; registers become local
// variables. What is not known is refused by name and line.

#include "ptx.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- types ----

typedef struct Type {
  const char *name;
  u32 bytes;
  char class;        // u unsigned, s signed, b bits, f floating point, h half (f16, bf16), x two halves, p predicate
  const char *c;     // the C type of its values
  const char *s;     // the suffix of its functions
} Type;

static const Type TYPES[] = {
    {"u8", 1, 'u', "u8", "u8"},       {"u16", 2, 'u', "u16", "u16"},  {"u32", 4, 'u', "u32", "u32"},
    {"u64", 8, 'u', "u64", "u64"},    {"s8", 1, 's', "s8", "s8"},     {"s16", 2, 's', "s16", "s16"},
    {"s32", 4, 's', "s32", "s32"},    {"s64", 8, 's', "s64", "s64"},  {"b8", 1, 'b', "u8", "u8"},
    {"b16", 2, 'b', "u16", "u16"},    {"b32", 4, 'b', "u32", "u32"},  {"b64", 8, 'b', "u64", "u64"},
    {"f32", 4, 'f', "float", "f32"},  {"f64", 8, 'f', "double", "f64"},
    {"f16", 2, 'h', "double", "f16"}, {"bf16", 2, 'h', "double", "bf16"},
    {"f16x2", 4, 'x', "double", "f16"}, {"bf16x2", 4, 'x', "double", "bf16"},
    {"tf32", 4, 'b', "u32", "u32"},   {"pred", 1, 'p', "u8", "u8"},
};

static const Type *type_named(const char *name) {
  for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
    if (!strcmp(TYPES[i].name, name)) return TYPES + i;
  return NULL;
}

static const char *unsigned_of(u32 bytes) { return bytes == 1 ? "u8" : bytes == 2 ? "u16" : bytes == 4 ? "u32" : "u64"; }

// ---- what is known while translating ----

enum SymbolKind { REGISTER, LOCAL_VARIABLE, SHARED_VARIABLE, GLOBAL_VARIABLE, ENTRY_PARAM, CALL_PARAM, TABLE };

typedef struct Symbol {
  const char *name;
  enum SymbolKind kind;
  const Type *type;     // of a register
  int count;            // of a range of registers: name0 ... name(count-1); -1: a single one
  u32 index;            // of a variable, or offset of a parameter
  u32 bytes;            // of a parameter
  int token;            // of a table of branch targets: its first label
} Symbol;

enum OperandKind { VALUE, ADDRESS, VECTOR, LABEL, SINK };

typedef struct Operand {
  enum OperandKind kind;
  const char *text;      // C: a value's bits, an address
  const char *name;      // as written
  const Symbol *symbol;  // the register, or the variable at the base of an address
  int negated;           // !p
  const char *second;    // the q of p|q, C
  s64 offset;            // of an address whose base is a parameter
  struct Operand *elements;
  int count;
} Operand;

#define MAX_PARTS 24
#define MAX_OPERANDS 12

typedef struct Instruction {
  const char *name;
  int line;
  const char *parts[MAX_PARTS];
  int used[MAX_PARTS], partCount;
  Operand operands[MAX_OPERANDS];
  int count;
} Instruction;

typedef struct Emitter {
  Ptx *ptx;
  Translation *out;
  Text *code;
  Function *function;
  int at;
  Symbol **symbols;
  int symbolCount, symbolCapacity;
  Function *queue[256];   // the kernel and what it calls
  int queueCount;
  int predicated;
} Emitter;

static void refuse(Emitter *e, int line, const char *format, ...) __attribute__((noreturn, format(printf, 3, 4)));

static void refuse(Emitter *e, int line, const char *format, ...) {
  char what[512], where[384];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  ptx_describe_line(e->ptx->source, line, where, sizeof where);
  snprintf(e->ptx->error, sizeof e->ptx->error, "kernel `%s`, %s: %s", e->queue[0]->name, where, what);
  longjmp(e->ptx->failed, 1);
}

// Formatted text that lives as long as the process: translation happens once for each kernel.
static const char *form(const char *format, ...) {
  Text text = {0};
  char *result;
  va_list arguments;
  va_start(arguments, format);
  if (vasprintf(&result, format, arguments) < 0) abort();
  va_end(arguments);
  (void)text;
  return result;
}

#define EMIT(...) text_add(e->code, __VA_ARGS__)

static const char *peek(Emitter *e) { return e->ptx->tokens[e->at].text; }
static int line_of(Emitter *e) { return e->ptx->tokens[e->at].line; }
static const char *next(Emitter *e) {
  if (e->at >= e->function->end) refuse(e, line_of(e), "the function ends within a statement");
  return e->ptx->tokens[e->at++].text;
}
static int accept(Emitter *e, const char *text) {
  if (strcmp(peek(e), text)) return 0;
  e->at++;
  return 1;
}
static void expect(Emitter *e, const char *text) {
  if (!accept(e, text)) refuse(e, line_of(e), "expected `%s`, got `%s`", text, peek(e));
}

static const char *mangle(const char *name) {
  Text out = {0};
  text_add(&out, "r");
  for (; *name; name++) {
    if (isalnum((unsigned char)*name) || *name == '_') text_add(&out, "%c", *name);
    else text_add(&out, "_%02x", (unsigned char)*name);
  }
  return out.data;
}

static Symbol *declare(Emitter *e, Symbol symbol) {
  if (e->symbolCount == e->symbolCapacity)
    e->symbols = realloc(e->symbols, sizeof(Symbol *) * (size_t)(e->symbolCapacity = 2 * e->symbolCapacity + 64));
  Symbol *s = malloc(sizeof *s);
  *s = symbol;
  return e->symbols[e->symbolCount++] = s;
}

static const Symbol *find(Emitter *e, const char *name) {
  size_t length = strlen(name), digits = length;
  while (digits && isdigit((unsigned char)name[digits - 1])) digits--;
  for (int i = e->symbolCount - 1; i >= 0; i--) {
    const Symbol *s = e->symbols[i];
    if (s->count < 0 ? !strcmp(s->name, name)
                     : digits < length && strlen(s->name) == digits && !strncmp(s->name, name, digits) && atoi(name + digits) < s->count)
      return s;
  }
  return NULL;
}

// ---- operands ----

static const char *special_register(const char *name) {
  static const char *const TABLE_OF[][2] = {
      {"%tid.x", "t->tid[0]"}, {"%tid.y", "t->tid[1]"}, {"%tid.z", "t->tid[2]"},
      {"%ntid.x", "t->block->ntid[0]"}, {"%ntid.y", "t->block->ntid[1]"}, {"%ntid.z", "t->block->ntid[2]"},
      {"%ctaid.x", "t->block->ctaid[0]"}, {"%ctaid.y", "t->block->ctaid[1]"}, {"%ctaid.z", "t->block->ctaid[2]"},
      {"%nctaid.x", "t->block->nctaid[0]"}, {"%nctaid.y", "t->block->nctaid[1]"}, {"%nctaid.z", "t->block->nctaid[2]"},
      {"%laneid", "t->lane"}, {"%warpid", "t->warp"},
      {"%nwarpid", "((t->block->ntid[0] * t->block->ntid[1] * t->block->ntid[2] + 31) / 32)"},
      {"%lanemask_eq", "(1u << t->lane)"}, {"%lanemask_lt", "LANE_MASK_LT(t->lane)"},
      {"%lanemask_le", "(LANE_MASK_LT(t->lane) | 1u << t->lane)"}, {"%lanemask_gt", "~(LANE_MASK_LT(t->lane) | 1u << t->lane)"},
      {"%lanemask_ge", "~LANE_MASK_LT(t->lane)"}, {"%clock", "(u32)clock_now()"}, {"%clock64", "clock_now()"},
      {"%globaltimer", "clock_now()"}, {"%smid", "0u"}, {"%nsmid", "1u"}, {"%gridid", "0u"},
      {"%dynamic_smem_size", "t->block->shared_dynamic"}, {"%total_smem_size", "t->block->shared_total"},
      {"WARP_SZ", "32u"},
  };
  for (size_t i = 0; i < sizeof TABLE_OF / sizeof *TABLE_OF; i++)
    if (!strcmp(TABLE_OF[i][0], name)) return TABLE_OF[i][1];
  return NULL;
}

static u32 shared_variable(Emitter *e, const Variable *v) {
  Translation *out = e->out;
  for (int i = 0; i < out->sharedCount; i++)
    if (!strcmp(out->shared[i].name, v->name)) return (u32)i;
  out->shared = realloc(out->shared, sizeof(Variable) * (size_t)(out->sharedCount + 1));
  out->shared[out->sharedCount] = *v;
  return (u32)out->sharedCount++;
}

static const Symbol *symbol(Emitter *e, const char *name) {
  const Symbol *s = find(e, name);
  if (s) return s;
  for (int i = 0; i < e->ptx->sharedModuleCount; i++)
    if (!strcmp(e->ptx->sharedModule[i].name, name)) {
      u32 index = shared_variable(e, e->ptx->sharedModule + i);
      return declare(e, (Symbol){.name = name, .kind = SHARED_VARIABLE, .count = -1, .index = index});
    }
  for (int i = 0; i < e->ptx->variableCount; i++)
    if (!strcmp(e->ptx->variables[i].name, name))
      return declare(e, (Symbol){.name = name, .kind = GLOBAL_VARIABLE, .count = -1, .index = (u32)i});
  return NULL;
}

// The bits of a symbol used as a value: a register's contents, a variable's address in its space.
static const char *symbol_value(Emitter *e, int line, const Symbol *s, const char *name) {
  switch (s->kind) {
    case REGISTER: return mangle(name);
    case LOCAL_VARIABLE: return form("(u64)%s", mangle(name));
    case SHARED_VARIABLE: return form("(u64)t->block->shared_at[%u]", s->index);
    case GLOBAL_VARIABLE: return form("t->block->global_at[%u]", s->index);
    case ENTRY_PARAM: return form("(u64)%u", s->index);
    case CALL_PARAM: case TABLE: break;
  }
  refuse(e, line, "`%s` cannot be used as a value", name);
}

static const char *literal(const char *t, int negative) {
  if (t[0] == '0' && (t[1] == 'f' || t[1] == 'F')) return form("%s0x%su", negative ? "0x80000000u ^ " : "", t + 2);
  if (t[0] == '0' && (t[1] == 'd' || t[1] == 'D')) return form("%s0x%sull", negative ? "(1ull << 63) ^ " : "", t + 2);
  u64 v = strtoull(t, NULL, 0);
  return form("0x%llxull", (unsigned long long)(negative ? 0 - v : v));
}

static Operand operand(Emitter *e) {
  Operand o = {.kind = VALUE};
  int line = line_of(e);
  if (accept(e, "{")) {
    o.kind = VECTOR;
    o.elements = calloc(8, sizeof(Operand));
    while (!accept(e, "}")) {
      accept(e, ",");
      if (o.count == 8) refuse(e, line, "a vector of more than 8 elements");
      o.elements[o.count++] = operand(e);
    }
    return o;
  }
  if (accept(e, "[")) {
    o.kind = ADDRESS;
    const char *name = next(e);
    int negativeBase = !strcmp(name, "-");
    if (negativeBase) name = next(e);
    s64 offset = 0;
    if (isdigit((unsigned char)name[0])) {
      o.text = literal(name, negativeBase);
    } else {
      o.symbol = symbol(e, name);
      if (!o.symbol) refuse(e, line, "unknown name `%s`", name);
    }
    while (strcmp(peek(e), "]")) {
      int minus = accept(e, "-");
      if (!minus) expect(e, "+");
      if (accept(e, "-")) minus = !minus;
      s64 v = (s64)strtoull(next(e), NULL, 0);
      offset += minus ? -v : v;
    }
    expect(e, "]");
    o.name = name;
    o.offset = offset;
    if (o.symbol && o.symbol->kind != CALL_PARAM) {
      const char *base = symbol_value(e, line, o.symbol, name);
      if (o.symbol->kind == REGISTER && o.symbol->type->bytes == 4) o.text = form("(u64)(u32)(%s + %lldu)", base, (long long)(u32)offset);
      else o.text = form("%s + (s64)%lldll", base, (long long)offset);
    }
    return o;
  }
  if (accept(e, "!")) {
    o = operand(e);
    o.negated = !o.negated;
    return o;
  }
  const char *name = next(e);
  if (!strcmp(name, "-")) {
    o.text = literal(next(e), 1);
    return o;
  }
  o.name = name;
  if (!strcmp(name, "_")) {
    o.kind = SINK;
  } else if (isdigit((unsigned char)name[0])) {
    o.text = literal(name, 0);
  } else if ((o.text = special_register(name))) {
  } else if ((o.symbol = symbol(e, name))) {
    if (o.symbol->kind != CALL_PARAM && o.symbol->kind != TABLE) o.text = symbol_value(e, line, o.symbol, name);
    else o.kind = LABEL;
    if (accept(e, "|")) {
      const char *second = next(e);
      if (strcmp(second, "_")) {
        if (!symbol(e, second)) refuse(e, line, "unknown name `%s`", second);
        o.second = mangle(second);
      }
    }
  } else {
    o.kind = LABEL;
  }
  return o;
}

// ---- modifiers of an instruction ----

static int has(Instruction *in, const char *part) {
  for (int i = 1; i < in->partCount; i++)
    if (!in->used[i] && !strcmp(in->parts[i], part)) return in->used[i] = 1;
  return 0;
}

static int has_prefix(Instruction *in, const char *prefix) {
  for (int i = 1; i < in->partCount; i++)
    if (!in->used[i] && !strncmp(in->parts[i], prefix, strlen(prefix))) return in->used[i] = 1;
  return 0;
}

static const char *one_of(Instruction *in, const char *const *parts) {
  for (; *parts; parts++)
    if (has(in, *parts)) return *parts;
  return NULL;
}
#define ONE_OF(in, ...) one_of(in, (const char *const[]){__VA_ARGS__, NULL})

static const Type *next_type(Emitter *e, Instruction *in) {
  for (int i = 1; i < in->partCount; i++) {
    const Type *type = in->used[i] ? NULL : type_named(in->parts[i]);
    if (type) {
      in->used[i] = 1;
      return type;
    }
  }
  refuse(e, in->line, "`%s`: a type is missing, or is not supported", in->name);
}

static const char *value(Emitter *e, Instruction *in, int i) {
  if (i >= in->count) refuse(e, in->line, "`%s`: operand %d is missing", in->name, i);
  Operand *o = in->operands + i;
  if (o->kind != VALUE) refuse(e, in->line, "`%s`: operand %d cannot be used as a value", in->name, i);
  if (o->negated) return form("!(%s)", o->text);
  return o->text;
}

static const char *destination(Emitter *e, Instruction *in, int i) {
  Operand *o = in->operands + i;
  if (o->kind == SINK) return "ignored_";
  if (i >= in->count || o->kind != VALUE || !o->symbol || o->symbol->kind != REGISTER)
    refuse(e, in->line, "`%s`: operand %d is no register", in->name, i);
  return o->text;
}

// A C expression of the operand's value in a type; `half` picks the low (0) or high (1) half of a pair.
static const char *read_as(const Type *type, const char *bits, int half) {
  switch (type->class) {
    case 'f': return form("%s_of(%s)", type->s, bits);
    case 'h': return form("%s_of((u16)(%s))", type->s, bits);
    case 'x': return form("%s_of((u16)((u32)(%s) >> %d))", type->s, bits, 16 * half);
    case 'p': return form("(u8)((%s) != 0)", bits);
    default: return form("(%s)(%s)", type->c, bits);
  }
}

// Puts $a $b $c into a template.
static const char *fill(const char *template, const char *a, const char *b, const char *c) {
  Text out = {0};
  for (const char *p = template; *p; p++) {
    if (*p != '$') { text_add(&out, "%c", *p); continue; }
    p++;
    text_add(&out, "%s", *p == 'a' ? a : *p == 'b' ? b : c);
  }
  return out.data;
}

// d = expression of a, b, c, all of one type, with .ftz, .sat and the rounding modes.
static void arithmetic(Emitter *e, Instruction *in, const Type *type, const char *template) {
  const char *d = destination(e, in, 0);
  const char *rounding = type->class == 'u' || type->class == 's' || type->class == 'b' ? NULL : ONE_OF(in, "rn", "rz", "rm", "rp");
  int ftz = type->class != 'b' && has(in, "ftz"), sat = has(in, "sat");
  int floating = type->class == 'f' || type->class == 'h' || type->class == 'x';
  if (sat && !floating) refuse(e, in->line, "`%s`: .sat of integers is not supported", in->name);
  const char *result[2];
  for (int half = 0; half < (type->class == 'x' ? 2 : 1); half++) {
    const char *x[3] = {"0", "0", "0"};
    for (int i = 0; i < 3 && i + 1 < in->count; i++) {
      x[i] = read_as(type, value(e, in, i + 1), half);
      if (ftz && type->class == 'f') x[i] = form("flush%s(%s)", type->bytes == 8 ? "_f64" : "", x[i]);
    }
    const char *r;
    if (rounding && strcmp(rounding, "rn")) {
      if (type->class != 'f') refuse(e, in->line, "`%s`: .%s of this type is not supported", in->name, rounding);
      int mode = !strcmp(rounding, "rm") ? 1 : !strcmp(rounding, "rp") ? 2 : 3;
      r = form("ROUNDED(%s, %d, %s, %s, %s, %s)", type->c, mode, x[0], x[1], x[2], fill(template, "a_", "b_", "c_"));
    } else {
      r = fill(template, x[0], x[1], x[2]);
    }
    if (ftz && type->class == 'f') r = form("flush%s(%s)", type->bytes == 8 ? "_f64" : "", r);
    if (sat) r = form("saturate%s(%s)", type->class == 'f' && type->bytes == 4 ? "" : "_f64", r);
    result[half] = floating ? form("bits_%s(%s)", type->s, r) : form("(%s)(%s)", type->c, r);
  }
  if (type->class == 'x') EMIT("{ u32 low_ = %s, high_ = %s; %s = low_ | high_ << 16; }", result[0], result[1], d);
  else EMIT("%s = %s;", d, result[0]);
}

// ---- one function for each family of instructions ----

static int is_float(const Type *t) { return t->class == 'f' || t->class == 'h' || t->class == 'x'; }

static void emit_add_sub(Emitter *e, Instruction *in) {
  int subtract = in->parts[0][0] == 's';
  int use = in->parts[0][strlen(in->parts[0]) - 1] == 'c', set = has(in, "cc");
  const Type *type = next_type(e, in);
  if (use || set) {
    const char *u = unsigned_of(type->bytes);
    EMIT("%s = %s_%s(t, (%s)(%s), (%s)(%s), %d, %d);", destination(e, in, 0), subtract ? "sub_borrow" : "add_carry", u, u, value(e, in, 1), u, value(e, in, 2), use, set);
    return;
  }
  arithmetic(e, in, type, subtract ? "$a - $b" : "$a + $b");
}

static void emit_mul_mad(Emitter *e, Instruction *in) {
  int add = !strncmp(in->parts[0], "mad", 3);
  int use = !strcmp(in->parts[0], "madc");
  const char *part = ONE_OF(in, "lo", "hi", "wide");
  int set = has(in, "cc");
  const Type *type = next_type(e, in);
  if (is_float(type)) {
    arithmetic(e, in, type, add ? form("fma%s($a, $b, $c)", type->bytes == 4 && type->class == 'f' ? "f" : "") : "$a * $b");
    return;
  }
  if (!part) refuse(e, in->line, "`%s`: neither .lo, .hi nor .wide", in->name);
  const char *a = read_as(type, value(e, in, 1), 0), *b = read_as(type, value(e, in, 2), 0);
  const char *product;
  u32 bytes = type->bytes;
  if (!strcmp(part, "wide")) {
    bytes *= 2;
    product = form("((%s%u)%s * (%s%u)%s)", type->class == 's' ? "s" : "u", bytes * 8, a, type->class == 's' ? "s" : "u", bytes * 8, b);
  } else if (!strcmp(part, "hi")) {
    product = form("MULHI_%s(%s, %s)", type->s, a, b);
  } else {
    product = form("(%s)((%s)%s * (%s)%s)", unsigned_of(bytes), unsigned_of(bytes < 4 ? 4 : bytes), a, unsigned_of(bytes < 4 ? 4 : bytes), b);
  }
  const char *u = unsigned_of(bytes);
  if (use || set) EMIT("%s = add_carry_%s(t, (%s)%s, (%s)(%s), %d, %d);", destination(e, in, 0), u, u, product, u, value(e, in, 3), use, set);
  else if (add) EMIT("%s = (%s)((%s)%s + (%s)(%s));", destination(e, in, 0), u, u, product, u, value(e, in, 3));
  else EMIT("%s = (%s)%s;", destination(e, in, 0), u, product);
}

static void emit_fma(Emitter *e, Instruction *in) {
  const Type *type = next_type(e, in);
  const char *template = type->class == 'f' && type->bytes == 4 ? "fmaf($a, $b, $c)" : "fma($a, $b, $c)";
  if (has(in, "relu")) template = type->class == 'f' ? NULL : "max_nan_f64(fma($a, $b, $c), 0.0)";
  if (!template) refuse(e, in->line, "`%s` is not supported", in->name);
  arithmetic(e, in, type, template);
}

static void emit_div_rem(Emitter *e, Instruction *in) {
  int approximate = has(in, "full") || has(in, "approx");
  (void)approximate;
  const Type *type = next_type(e, in);
  if (is_float(type)) arithmetic(e, in, type, "$a / $b");
  else arithmetic(e, in, type, form("%s_%s($a, $b)", in->parts[0], type->s));
}

static void emit_min_max(Emitter *e, Instruction *in) {
  const char *nan = has(in, "NaN") ? "nan_" : "";
  const Type *type = next_type(e, in);
  const char *op = in->parts[0];
  if (is_float(type)) arithmetic(e, in, type, form("%s_%s%s($a, $b)", op, nan, type->class == 'f' && type->bytes == 4 ? "f32" : "f64"));
  else arithmetic(e, in, type, !strcmp(op, "min") ? "($a < $b ? $a : $b)" : "($a > $b ? $a : $b)");
}

static void emit_neg_abs(Emitter *e, Instruction *in) {
  const Type *type = next_type(e, in);
  int negate = in->parts[0][0] == 'n';
  // On the bits, so that a NaN's sign changes too.
  if (type->class == 'h' || type->class == 'x') {
    const char *u = unsigned_of(type->bytes);
    (void)has(in, "ftz");
    const char *mask = type->class == 'h' ? "0x8000" : "0x80008000u";
    EMIT("%s = (%s)((%s) %s%s);", destination(e, in, 0), u, value(e, in, 1), negate ? "^ " : "& ~", mask);
  } else if (type->class == 'f') {
    arithmetic(e, in, type, negate ? "-($a)" : form("__builtin_fabs%s($a)", type->bytes == 4 ? "f" : ""));
  } else {
    arithmetic(e, in, type, negate ? "0 - ($a)" : "($a < 0 ? 0 - $a : $a)");
  }
}

static void emit_unary_float(Emitter *e, Instruction *in) {
  static const char *const TABLE_OF[][3] = {
      {"sqrt", "sqrtf($a)", "sqrt($a)"}, {"rsqrt", "(float)(1.0 / sqrt((double)$a))", "1.0 / sqrt($a)"},
      {"rcp", "1.0f / $a", "1.0 / $a"}, {"ex2", "exp2f($a)", "exp2($a)"}, {"lg2", "log2f($a)", NULL},
      {"sin", "sinf($a)", NULL}, {"cos", "cosf($a)", NULL}, {"tanh", "tanhf($a)", "tanh($a)"},
  };
  (void)has(in, "approx");
  const Type *type = next_type(e, in);
  for (size_t i = 0; i < sizeof TABLE_OF / sizeof *TABLE_OF; i++)
    if (!strcmp(TABLE_OF[i][0], in->parts[0])) {
      const char *template = TABLE_OF[i][type->class == 'f' && type->bytes == 4 ? 1 : 2];
      if (!template) break;
      arithmetic(e, in, type, template);
      return;
    }
  refuse(e, in->line, "`%s` is not supported", in->name);
}

static void emit_logic(Emitter *e, Instruction *in) {
  const Type *type = next_type(e, in);
  const char *op = in->parts[0];
  const char *template = !strcmp(op, "and") ? "$a & $b" : !strcmp(op, "or") ? "$a | $b" : !strcmp(op, "xor") ? "$a ^ $b"
      : !strcmp(op, "cnot") ? "$a == 0" : type->class == 'p' ? "!$a" : "~$a";
  arithmetic(e, in, type, template);
}

static void emit_shift(Emitter *e, Instruction *in) {
  const Type *type = next_type(e, in);
  const char *kind = in->parts[0][2] == 'l' ? "SHL" : type->class == 's' ? "SHR_S" : "SHR_U";
  EMIT("{ u32 n_ = (u32)(%s); %s = %s(%s, %s, n_); }", value(e, in, 2), destination(e, in, 0), kind, type->c, value(e, in, 1));
}

static void emit_shf(Emitter *e, Instruction *in) {
  int left = has(in, "l");
  if (!left) has(in, "r");
  const char *amount = has(in, "wrap") ? form("(u32)(%s) & 31", value(e, in, 3)) : has(in, "clamp") ? form("at_most((u32)(%s), 32)", value(e, in, 3)) : NULL;
  (void)next_type(e, in);
  if (!amount) refuse(e, in->line, "`%s`: neither .wrap nor .clamp", in->name);
  EMIT("%s = shf_%s((u32)(%s), (u32)(%s), %s);", destination(e, in, 0), left ? "left" : "right", value(e, in, 1), value(e, in, 2), amount);
}

static void emit_bits(Emitter *e, Instruction *in) {
  const char *op = in->parts[0], *d = destination(e, in, 0);
  int shift = !strcmp(op, "bfind") && has(in, "shiftamt");
  const Type *type = next_type(e, in);
  const char *a = value(e, in, 1);
  int wide = type->bytes == 8;
  if (!strcmp(op, "popc")) EMIT("%s = (u32)__builtin_popcountll((%s)(%s));", d, type->c, a);
  else if (!strcmp(op, "clz")) EMIT("{ %s x_ = (%s)(%s); %s = x_ ? (u32)__builtin_clz%s(x_) : %du; }", type->c, type->c, a, d, wide ? "ll" : "", wide ? 64 : 32);
  else if (!strcmp(op, "brev")) EMIT("%s = brev%d((%s)(%s));", d, wide ? 64 : 32, type->c, a);
  else if (!strcmp(op, "bfe")) EMIT("%s = bfe_%s((%s)(%s), (u32)(%s), (u32)(%s));", d, type->s, type->c, a, value(e, in, 2), value(e, in, 3));
  else if (!strcmp(op, "bfi")) EMIT("%s = bfi_%s((%s)(%s), (%s)(%s), (u32)(%s), (u32)(%s));", d, type->s, type->c, a, type->c, value(e, in, 2), value(e, in, 3), value(e, in, 4));
  else EMIT("%s = bfind((u64)(%s)(%s), %d, %d, %d);", d, unsigned_of(type->bytes), a, wide ? 64 : 32, type->class == 's', shift);
}

static void emit_lop3(Emitter *e, Instruction *in) {
  (void)next_type(e, in);
  EMIT("%s = lop3((u32)(%s), (u32)(%s), (u32)(%s), %s);", destination(e, in, 0), value(e, in, 1), value(e, in, 2), value(e, in, 3), value(e, in, 4));
}

static void emit_prmt(Emitter *e, Instruction *in) {
  (void)next_type(e, in);
  EMIT("%s = prmt((u32)(%s), (u32)(%s), (u32)(%s));", destination(e, in, 0), value(e, in, 1), value(e, in, 2), value(e, in, 3));
}

static void emit_dp4a(Emitter *e, Instruction *in) {
  const Type *a = next_type(e, in), *b = next_type(e, in);
  EMIT("%s = (u32)dot4((u32)(%s), (u32)(%s), (s32)(%s), %d, %d);", destination(e, in, 0), value(e, in, 1), value(e, in, 2), value(e, in, 3), a->class == 's', b->class == 's');
}

static void emit_copysign(Emitter *e, Instruction *in) {
  const Type *type = next_type(e, in);
  arithmetic(e, in, type, form("__builtin_copysign%s($b, $a)", type->bytes == 4 ? "f" : ""));
}

static void emit_testp(Emitter *e, Instruction *in) {
  const char *what = ONE_OF(in, "finite", "infinite", "number", "notanumber", "normal", "subnormal");
  const Type *type = next_type(e, in);
  const char *a = read_as(type, value(e, in, 1), 0);
  if (!what) refuse(e, in->line, "`%s` is not supported", in->name);
  const char *test = !strcmp(what, "finite") ? "isfinite(%s)" : !strcmp(what, "infinite") ? "isinf(%s)" : !strcmp(what, "number") ? "!isnan(%s)"
      : !strcmp(what, "notanumber") ? "isnan(%s)" : !strcmp(what, "normal") ? "isnormal(%s)" : "fpclassify(%s) == FP_SUBNORMAL";
  EMIT("%s = ", destination(e, in, 0));
  EMIT(test, a);
  EMIT(";");
}

static const char *comparison(const char *compare, const char *a, const char *b) {
  static const char *const TABLE_OF[][2] = {
      {"eq", "($a == $b)"}, {"lt", "($a < $b)"}, {"le", "($a <= $b)"}, {"gt", "($a > $b)"}, {"ge", "($a >= $b)"},
      {"lo", "($a < $b)"}, {"ls", "($a <= $b)"}, {"hi", "($a > $b)"}, {"hs", "($a >= $b)"},
      {"ne", "($a < $b || $a > $b)"}, {"equ", "!($a < $b || $a > $b)"}, {"neu", "($a != $b)"},
      {"ltu", "!($a >= $b)"}, {"leu", "!($a > $b)"}, {"gtu", "!($a <= $b)"}, {"geu", "!($a < $b)"},
      {"num", "($a == $a && $b == $b)"}, {"nan", "($a != $a || $b != $b)"},
  };
  for (size_t i = 0; i < sizeof TABLE_OF / sizeof *TABLE_OF; i++)
    if (!strcmp(TABLE_OF[i][0], compare)) return fill(TABLE_OF[i][1], a, b, "");
  return NULL;
}

static void emit_setp(Emitter *e, Instruction *in) {
  int set = !strcmp(in->parts[0], "set");
  const char *compare = in->parts[1];
  in->used[1] = 1;
  const char *combine = ONE_OF(in, "and", "or", "xor");
  int ftz = has(in, "ftz");
  const Type *result = set ? next_type(e, in) : NULL, *type = next_type(e, in);
  const char *r[2] = {NULL, NULL};
  for (int half = 0; half < (type->class == 'x' ? 2 : 1); half++) {
    const char *a = read_as(type, value(e, in, 1), half), *b = read_as(type, value(e, in, 2), half);
    if (ftz && type->class == 'f') a = form("flush(%s)", a), b = form("flush(%s)", b);
    r[half] = comparison(compare, a, b);
    if (!r[half]) refuse(e, in->line, "`%s`: comparison `%s` is not supported", in->name, compare);
    if (combine) r[half] = form("(%s %s (%s))", r[half], !strcmp(combine, "and") ? "&" : !strcmp(combine, "or") ? "|" : "^", read_as(type_named("pred"), value(e, in, 3), 0));
  }
  const char *d = destination(e, in, 0), *q = in->operands[0].second;
  if (set) {
    if (type->class == 'x' || q) refuse(e, in->line, "`%s` is not supported", in->name);
    EMIT("%s = %s ? %s : 0;", d, r[0], result->class == 'f' ? "0x3f800000u" : "0xffffffffu");
  } else if (type->class == 'x') {
    EMIT("{ u8 p_ = %s, q_ = %s; %s = p_; %s = q_; }", r[0], r[1], d, q ? q : "ignored_");
  } else if (q) {
    if (combine) refuse(e, in->line, "`%s` with two results is not supported", in->name);
    EMIT("{ u8 p_ = %s; %s = p_; %s = !p_; }", r[0], d, q);
  } else {
    EMIT("%s = %s;", d, r[0]);
  }
}

static void emit_selp(Emitter *e, Instruction *in) {
  const Type *type = next_type(e, in);
  const char *u = unsigned_of(type->bytes);
  EMIT("%s = (%s) ? (%s)(%s) : (%s)(%s);", destination(e, in, 0), value(e, in, 3), u, value(e, in, 1), u, value(e, in, 2));
}

static void emit_slct(Emitter *e, Instruction *in) {
  const Type *type = next_type(e, in), *by = next_type(e, in);
  (void)has(in, "ftz");
  const char *u = unsigned_of(type->bytes);
  EMIT("%s = %s >= 0 ? (%s)(%s) : (%s)(%s);", destination(e, in, 0), read_as(by, value(e, in, 3), 0), u, value(e, in, 1), u, value(e, in, 2));
}

static void emit_mov(Emitter *e, Instruction *in) {
  const Type *type = next_type(e, in);
  const char *u = unsigned_of(type->bytes);
  Operand *d = in->operands, *a = in->operands + 1;
  if (d->kind == VECTOR) {
    u32 bits = type->bytes * 8 / (u32)d->count;
    EMIT("{ u64 x_ = (%s)(%s); ", u, value(e, in, 1));
    for (int i = 0; i < d->count; i++)
      if (d->elements[i].kind != SINK) EMIT("%s = (u%u)(x_ >> %u); ", d->elements[i].text, bits, bits * (u32)i);
    EMIT("}");
  } else if (a->kind == VECTOR) {
    u32 bits = type->bytes * 8 / (u32)a->count;
    EMIT("%s = ", destination(e, in, 0));
    for (int i = 0; i < a->count; i++) EMIT("%s(%s)(u%u)(%s) << %u", i ? " | " : "", u, bits, a->elements[i].text, bits * (u32)i);
    EMIT(";");
  } else {
    EMIT("%s = (%s)(%s);", destination(e, in, 0), u, value(e, in, 1));
  }
}

static void emit_cvt(Emitter *e, Instruction *in) {
  const char *toInteger = ONE_OF(in, "rni", "rzi", "rmi", "rpi"), *rounding = ONE_OF(in, "rn", "rz", "rm", "rp", "rna");
  int ftz = has(in, "ftz"), sat = has(in, "sat"), relu = has(in, "relu");
  const Type *to = next_type(e, in);
  const Type *from = next_type(e, in);
  const char *d = destination(e, in, 0);
  const char *directed = rounding && (!strcmp(rounding, "rz") || !strcmp(rounding, "rm") || !strcmp(rounding, "rp"))
      ? (!strcmp(rounding, "rm") ? "1" : !strcmp(rounding, "rp") ? "2" : "3") : NULL;
  const char *round = toInteger ? (!strcmp(toInteger, "rni") ? "rint" : !strcmp(toInteger, "rzi") ? "trunc" : !strcmp(toInteger, "rmi") ? "floor" : "ceil") : NULL;
  if (!strcmp(to->name, "tf32")) {
    if (!rounding || strcmp(rounding, "rna") || strcmp(from->name, "f32")) refuse(e, in->line, "`%s` is not supported", in->name);
    EMIT("%s = tf32_rna(%s);", d, read_as(from, value(e, in, 1), 0));
    return;
  }
  if (to->class == 'x') {
    if (strcmp(from->name, "f32") || in->count != 3 || !rounding) refuse(e, in->line, "`%s` is not supported", in->name);
    const char *high = read_as(from, value(e, in, 1), 0), *low = read_as(from, value(e, in, 2), 0);
    if (relu) high = form("max_nan_f32(%s, 0.0f)", high), low = form("max_nan_f32(%s, 0.0f)", low);
    EMIT("%s = (u32)%s_from(%s, '%c') << 16 | %s_from(%s, '%c');", d, to->s, high, rounding[1], to->s, low, rounding[1]);
    return;
  }
  if (from->class == 'x' || relu) refuse(e, in->line, "`%s` is not supported", in->name);
  const char *a = read_as(from, value(e, in, 1), 0);
  if (ftz && !strcmp(from->name, "f32")) a = form("flush(%s)", a);
  if (!is_float(to) && !is_float(from)) {
    if (sat) {
      const char *low = to->class == 's' ? form("-((__int128)1 << %u)", to->bytes * 8 - 1) : "0";
      const char *high = form("(((__int128)1 << %u) - 1)", to->bytes * 8 - (to->class == 's'));
      EMIT("{ __int128 x_ = %s; %s = (%s)(x_ < %s ? %s : x_ > %s ? %s : x_); }", a, d, to->c, low, low, high, high);
    } else {
      EMIT("%s = (%s)%s;", d, to->c, a);
    }
  } else if (!is_float(to)) {
    if (!round) refuse(e, in->line, "`%s`: a rounding mode is missing", in->name);
    const char *c = to->class == 'b' ? unsigned_of(to->bytes) : to->c;
    EMIT("%s = to_%s(%s((double)%s));", d, c, round, a);
  } else if (!is_float(from)) {
    const char *r;
    if (directed) {
      if (from->bytes == 8 || strcmp(to->name, "f32")) refuse(e, in->line, "`%s`: this rounding is not supported", in->name);
      r = form("(float)ROUNDED(double, %s, (double)%s, 0, 0, (double)(float)a_)", directed, a);
    } else {
      r = form("(%s)%s", to->c, a);
    }
    EMIT("%s = bits_%s(%s);", d, to->s, sat ? form("saturate%s(%s)", to->bytes == 4 ? "" : "_f64", r) : r);
  } else {
    const char *r = a;
    if (round) r = form("%s(%s)", round, r);
    if (to->class == 'h') {
      if (sat) r = form("saturate_f64(%s)", r);
      EMIT("%s = %s_from(%s, '%c');", d, to->s, r, rounding ? rounding[1] : 'n');
      return;
    }
    if (directed && to->bytes < from->bytes) r = form("(float)ROUNDED(double, %s, (double)%s, 0, 0, (double)(float)a_)", directed, r);
    else r = form("(%s)%s", to->c, r);
    if (sat) r = form("saturate%s(%s)", to->bytes == 4 ? "" : "_f64", r);
    if (ftz && to->bytes == 4) r = form("flush(%s)", r);
    EMIT("%s = bits_%s(%s);", d, to->s, r);
  }
}

static void emit_cvta(Emitter *e, Instruction *in) {
  int to = has(in, "to");
  const char *space = ONE_OF(in, "global", "shared", "local", "const", "param");
  if (space && !strcmp(space, "shared")) has(in, "cta");
  (void)next_type(e, in);
  if (!space) refuse(e, in->line, "`%s` is not supported", in->name);
  const char *tag = !strcmp(space, "shared") ? "SHARED_TAG" : !strcmp(space, "local") ? "LOCAL_TAG" : !strcmp(space, "param") ? "PARAM_TAG" : NULL;
  if (!tag) EMIT("%s = %s;", destination(e, in, 0), value(e, in, 1));
  else EMIT("%s = (u64)(%s) ^ %s << TAG_SHIFT;", destination(e, in, 0), value(e, in, 1), tag);
  (void)to;
}

static void emit_isspacep(Emitter *e, Instruction *in) {
  const char *space = ONE_OF(in, "global", "shared", "local", "param");
  if (!space) refuse(e, in->line, "`%s` is not supported", in->name);
  (void)has(in, "cta");
  const char *a = value(e, in, 1), *d = destination(e, in, 0);
  if (!strcmp(space, "global")) EMIT("%s = (u64)(%s) >> TAG_SHIFT == 0;", d, a);
  else EMIT("%s = (u64)(%s) >> TAG_SHIFT == %s;", d, a, !strcmp(space, "shared") ? "SHARED_TAG" : !strcmp(space, "local") ? "LOCAL_TAG" : "PARAM_TAG");
}

// The function that checks an access of this space.
static const char *space_of(Emitter *e, Instruction *in) {
  const char *space = ONE_OF(in, "global", "shared", "local", "const", "param");
  if (!space) return "generic";
  if (!strcmp(space, "shared") && has_prefix(in, "cluster")) refuse(e, in->line, "`%s`: clusters are not supported", in->name);
  if (!strcmp(space, "const")) return "global";
  return space;
}

static void skip_memory_modifiers(Instruction *in) {
  while (ONE_OF(in, "weak", "volatile", "relaxed", "acquire", "release", "acq_rel", "sys", "gpu", "cta", "ca", "cg", "cs", "lu", "cv", "wb", "wt", "nc", "uni", "sync", "aligned")) {
  }
  while (has_prefix(in, "L1::") || has_prefix(in, "L2::")) {
  }
  if (has_prefix(in, "shared::cta")) {
  }
}

static const char *address(Emitter *e, Instruction *in, int i) {
  Operand *o = in->operands + i;
  if (i >= in->count || o->kind != ADDRESS) refuse(e, in->line, "`%s`: operand %d is no address", in->name, i);
  if (!o->text) refuse(e, in->line, "`%s`: `%s` has no address", in->name, o->name);
  return o->text;
}

static void shared_cta(Instruction *in) {
  for (int i = 1; i < in->partCount; i++)
    if (!strcmp(in->parts[i], "shared::cta")) in->parts[i] = "shared";
}

static void emit_ld_st(Emitter *e, Instruction *in) {
  int store = in->parts[0][0] == 's';
  shared_cta(in);
  skip_memory_modifiers(in);
  const char *space = space_of(e, in), *vector = ONE_OF(in, "v2", "v4", "v8");
  const Type *type = next_type(e, in);
  int count = vector ? vector[1] - '0' : 1, at = store ? 0 : 1;
  Operand *registers = in->operands + (store ? 1 : 0);
  if (count > 1 && (registers->kind != VECTOR || registers->count != count)) refuse(e, in->line, "`%s`: a vector of another length", in->name);
  const char *c = type->class == 's' ? type->c : unsigned_of(type->bytes);
  Operand *where = in->operands + at;
  if (where->kind == ADDRESS && where->symbol && where->symbol->kind == CALL_PARAM)
    EMIT("{ %s *p_ = (%s *)(%s + %lld); ", c, c, mangle(where->name), (long long)where->offset);
  else
    EMIT("{ %s *p_ = at_%s(t, %s, %u, %s, %d); ", c, space, address(e, in, at), type->bytes * (u32)count, store ? "WRITE" : "READ", in->line);
  for (int i = 0; i < count; i++) {
    Operand *r = count > 1 ? registers->elements + i : registers;
    if (r->kind == VECTOR && r->count == 1) r = r->elements;
    if (r->kind == SINK) continue;
    if (r->kind != VALUE) refuse(e, in->line, "`%s`: an operand is no value", in->name);
    if (store) EMIT("p_[%d] = (%s)(%s); ", i, c, r->text);
    else EMIT("%s = p_[%d]; ", r->text, i);
  }
  EMIT("}");
}

static void emit_atom(Emitter *e, Instruction *in) {
  int reduction = !strcmp(in->parts[0], "red");
  shared_cta(in);
  skip_memory_modifiers(in);
  const char *space = space_of(e, in);
  const char *op = ONE_OF(in, "add", "min", "max", "and", "or", "xor", "inc", "dec", "exch", "cas");
  (void)has(in, "noftz");
  const Type *type = next_type(e, in);
  int at = reduction ? 0 : 1;
  if (!op) refuse(e, in->line, "`%s`: the operation is not supported", in->name);
  const char *u = unsigned_of(type->bytes);
  EMIT("{ %s *p_ = at_%s(t, %s, %u, ATOMIC, %d); %s old_ = *p_; ", u, space, address(e, in, at), type->bytes, in->line, u);
  const char *r, *b = value(e, in, at + 1);
  if (!strcmp(op, "exch")) {
    r = form("(%s)(%s)", u, b);
  } else if (!strcmp(op, "cas")) {
    r = form("old_ == (%s)(%s) ? (%s)(%s) : old_", u, b, u, value(e, in, at + 2));
  } else if (!strcmp(op, "inc")) {
    r = form("old_ >= (u32)(%s) ? 0 : old_ + 1", b);
  } else if (!strcmp(op, "dec")) {
    r = form("old_ == 0 || old_ > (u32)(%s) ? (u32)(%s) : old_ - 1", b, b);
  } else {
    const char *template = !strcmp(op, "add") ? "$a + $b" : !strcmp(op, "min") ? "($a < $b ? $a : $b)" : !strcmp(op, "max") ? "($a > $b ? $a : $b)"
        : !strcmp(op, "and") ? "$a & $b" : !strcmp(op, "or") ? "$a | $b" : "$a ^ $b";
    if (is_float(type) && strcmp(op, "add")) refuse(e, in->line, "`%s` is not supported", in->name);
    const char *half[2];
    for (int i = 0; i < 2; i++) {
      half[i] = fill(template, read_as(type, "old_", i), read_as(type, b, i), "");
      half[i] = is_float(type) ? form("bits_%s(%s)", type->s, half[i]) : form("(%s)(%s)", u, half[i]);
    }
    r = type->class == 'x' ? form("(u32)%s | (u32)%s << 16", half[0], half[1]) : half[0];
  }
  EMIT("*p_ = %s; ", r);
  if (!reduction && in->operands[0].kind != SINK) EMIT("%s = old_; ", destination(e, in, 0));
  EMIT("}");
}

static void emit_barrier(Emitter *e, Instruction *in) {
  (void)has(in, "cta");
  (void)has(in, "aligned");
  if (has(in, "warp")) {
    if (!has(in, "sync")) refuse(e, in->line, "`%s` is not supported", in->name);
    EMIT("t->rt->collective(t, %d, WARP_SYNC, (u32)(%s), 0, 0);", in->line, value(e, in, 0));
    return;
  }
  if (has(in, "sync")) {
    EMIT("t->rt->barrier(t, %d, (u32)(%s), (u32)(%s), BARRIER_NONE, 0);", in->line, value(e, in, 0), in->count > 1 ? value(e, in, 1) : "0");
    return;
  }
  const char *op = has(in, "red") ? ONE_OF(in, "popc", "and", "or") : NULL;
  if (!op) refuse(e, in->line, "`%s` is not supported", in->name);
  (void)next_type(e, in);
  int last = in->count - 1;
  EMIT("%s = t->rt->barrier(t, %d, (u32)(%s), (u32)(%s), BARRIER_%s, (%s) != 0);", destination(e, in, 0), in->line, value(e, in, 1),
       last > 2 ? value(e, in, 2) : "0", !strcmp(op, "popc") ? "POPC" : !strcmp(op, "and") ? "AND" : "OR", value(e, in, last));
}

static void collective(Emitter *e, Instruction *in, const char *op, const char *mask, const char *inputs, int outputs) {
  EMIT("{ u32 in_[] = {%s}, out_[%d]; t->rt->collective(t, %d, %s, (u32)(%s), in_, out_); ", inputs, outputs ? outputs : 1, in->line, op, mask);
}

static void emit_shfl(Emitter *e, Instruction *in) {
  if (!has(in, "sync")) refuse(e, in->line, "`%s` without .sync is not supported", in->name);
  const char *mode = ONE_OF(in, "up", "down", "bfly", "idx");
  (void)next_type(e, in);
  if (!mode) refuse(e, in->line, "`%s` is not supported", in->name);
  const char *op = !strcmp(mode, "up") ? "SHFL_UP" : !strcmp(mode, "down") ? "SHFL_DOWN" : !strcmp(mode, "bfly") ? "SHFL_BFLY" : "SHFL_IDX";
  collective(e, in, op, value(e, in, 4), form("(u32)(%s), (u32)(%s), (u32)(%s)", value(e, in, 1), value(e, in, 2), value(e, in, 3)), 2);
  EMIT("%s = out_[0]; ", destination(e, in, 0));
  if (in->operands[0].second) EMIT("%s = (u8)out_[1]; ", in->operands[0].second);
  EMIT("}");
}

static void emit_vote(Emitter *e, Instruction *in) {
  if (!has(in, "sync")) refuse(e, in->line, "`%s` without .sync is not supported", in->name);
  const char *mode = ONE_OF(in, "all", "any", "uni", "ballot");
  (void)next_type(e, in);
  if (!mode) refuse(e, in->line, "`%s` is not supported", in->name);
  const char *op = !strcmp(mode, "all") ? "VOTE_ALL" : !strcmp(mode, "any") ? "VOTE_ANY" : !strcmp(mode, "uni") ? "VOTE_UNI" : "VOTE_BALLOT";
  collective(e, in, op, value(e, in, 2), form("(%s) != 0", value(e, in, 1)), 1);
  EMIT("%s = out_[0]; }", destination(e, in, 0));
}

static void emit_match(Emitter *e, Instruction *in) {
  (void)has(in, "sync");
  int all = has(in, "all");
  if (!all) has(in, "any");
  const Type *type = next_type(e, in);
  const char *a = value(e, in, 1);
  collective(e, in, form("MATCH_%s_%u", all ? "ALL" : "ANY", type->bytes * 8), value(e, in, 2), form("(u32)(%s), (u32)((u64)(%s) >> 32)", a, a), 2);
  EMIT("%s = out_[0]; ", destination(e, in, 0));
  if (in->operands[0].second) EMIT("%s = (u8)out_[1]; ", in->operands[0].second);
  EMIT("}");
}

static void emit_redux(Emitter *e, Instruction *in) {
  (void)has(in, "sync");
  const char *op = ONE_OF(in, "add", "min", "max", "and", "or", "xor");
  const Type *type = next_type(e, in);
  if (!op || is_float(type)) refuse(e, in->line, "`%s` is not supported", in->name);
  const char *name = !strcmp(op, "add") ? "REDUX_ADD" : !strcmp(op, "min") ? (type->class == 's' ? "REDUX_MIN_S32" : "REDUX_MIN_U32")
      : !strcmp(op, "max") ? (type->class == 's' ? "REDUX_MAX_S32" : "REDUX_MAX_U32") : !strcmp(op, "and") ? "REDUX_AND" : !strcmp(op, "or") ? "REDUX_OR" : "REDUX_XOR";
  collective(e, in, name, value(e, in, 2), form("(u32)(%s)", value(e, in, 1)), 1);
  EMIT("%s = out_[0]; }", destination(e, in, 0));
}

// No lane may count on another: each sees itself alone.
static void emit_activemask(Emitter *e, Instruction *in) {
  (void)next_type(e, in);
  EMIT("%s = 1u << t->lane;", destination(e, in, 0));
}

static void emit_cp(Emitter *e, Instruction *in) {
  if (!has(in, "async")) refuse(e, in->line, "`%s` is not supported", in->name);
  if (has(in, "commit_group")) {
    EMIT("t->rt->async_commit(t);");
  } else if (has(in, "wait_group")) {
    EMIT("t->rt->async_wait(t, (u32)(%s));", value(e, in, 0));
  } else if (has(in, "wait_all")) {
    EMIT("t->rt->async_commit(t); t->rt->async_wait(t, 0);");
  } else {
    shared_cta(in);
    skip_memory_modifiers(in);
    if (!has(in, "shared") || !has(in, "global") || in->count < 3) refuse(e, in->line, "`%s` is not supported", in->name);
    if (in->count > 3 && in->operands[3].symbol && in->operands[3].symbol->type && in->operands[3].symbol->type->class == 'p')
      refuse(e, in->line, "`%s` with a predicate that ignores the source is not supported", in->name);
    const char *bytes = value(e, in, 2);
    EMIT("t->rt->async_copy(t, %d, (u32)(%s), %s, (u32)(%s), (u32)(%s));", in->line, address(e, in, 0), address(e, in, 1), bytes, in->count > 3 ? value(e, in, 3) : bytes);
  }
}

static void emit_ldmatrix(Emitter *e, Instruction *in) {
  shared_cta(in);
  skip_memory_modifiers(in);
  int number = has(in, "x1") ? 1 : has(in, "x2") ? 2 : has(in, "x4") ? 4 : 0, transposed = has(in, "trans");
  if (!has(in, "m8n8") || !has(in, "b16") || !number) refuse(e, in->line, "`%s` is not supported", in->name);
  const char *space = space_of(e, in);
  Operand *d = in->operands;
  Operand *elements = d->kind == VECTOR ? d->elements : d;
  // Lanes beyond the rows give an address that is not looked at.
  EMIT("{ u64 row_ = t->lane < %d ? (u64)at_%s(t, %s, 16, READ, %d) : 0; u32 in_[] = {(u32)row_, (u32)(row_ >> 32)}, out_[4]; "
       "t->rt->collective(t, %d, LDMATRIX_%sX%d, ~0u, in_, out_); ",
       8 * number, space, address(e, in, 1), in->line, in->line, transposed ? "TRANS_" : "", number);
  for (int i = 0; i < number; i++) EMIT("%s = out_[%d]; ", elements[i].text, i);
  EMIT("}");
}

static void emit_mma(Emitter *e, Instruction *in) {
  skip_memory_modifiers(in);
  const char *shape = ONE_OF(in, "m16n8k16", "m16n8k8", "m16n8k4");
  if (!shape || !has(in, "row") || !has(in, "col")) refuse(e, in->line, "`%s` is not supported", in->name);
  const Type *d = next_type(e, in), *a = next_type(e, in), *b = next_type(e, in), *c = next_type(e, in);
  static const struct { const char *shape, *d, *a, *op; int counts[4]; } TABLE_OF[] = {
      {"m16n8k16", "f32", "f16", "MMA_16816_F16", {4, 4, 2, 4}},  {"m16n8k16", "f32", "bf16", "MMA_16816_BF16", {4, 4, 2, 4}},
      {"m16n8k8", "f32", "f16", "MMA_1688_F16", {4, 2, 1, 4}},    {"m16n8k8", "f32", "bf16", "MMA_1688_BF16", {4, 2, 1, 4}},
      {"m16n8k8", "f32", "tf32", "MMA_1688_TF32", {4, 4, 2, 4}},  {"m16n8k4", "f32", "tf32", "MMA_1684_TF32", {4, 2, 1, 4}},
      {"m16n8k16", "f16", "f16", "MMA_16816_F16_F16", {2, 4, 2, 2}}, {"m16n8k8", "f16", "f16", "MMA_1688_F16_F16", {2, 2, 1, 2}},
  };
  for (size_t i = 0; i < sizeof TABLE_OF / sizeof *TABLE_OF; i++) {
    if (strcmp(TABLE_OF[i].shape, shape) || strcmp(TABLE_OF[i].d, d->name) || strcmp(TABLE_OF[i].a, a->name) || a != b || c != d) continue;
    Text inputs = {0};
    for (int o = 0; o < 4; o++) {
      Operand *vector = in->operands + o;
      int count = vector->kind == VECTOR ? vector->count : 1;
      if (count != TABLE_OF[i].counts[o]) refuse(e, in->line, "`%s`: operand %d has %d registers, needs %d", in->name, o, count, TABLE_OF[i].counts[o]);
      for (int k = 0; o && k < count; k++) text_add(&inputs, "%s(u32)(%s)", inputs.length ? ", " : "", vector->kind == VECTOR ? vector->elements[k].text : vector->text);
    }
    collective(e, in, TABLE_OF[i].op, "~0u", inputs.data, 4);
    for (int k = 0; k < TABLE_OF[i].counts[0]; k++) EMIT("%s = out_[%d]; ", in->operands[0].elements[k].text, k);
    EMIT("}");
    return;
  }
  refuse(e, in->line, "`%s`: this combination of types is not supported", in->name);
}

static void emit_bra(Emitter *e, Instruction *in) {
  (void)has(in, "uni");
  if (in->operands[0].kind != LABEL) refuse(e, in->line, "`%s`: no label", in->name);
  EMIT("goto %s;", mangle(in->operands[0].name));
}

static void emit_brx(Emitter *e, Instruction *in) {
  (void)has(in, "idx");
  (void)has(in, "uni");
  const Symbol *table = in->count > 1 ? in->operands[1].symbol : NULL;
  if (!table || table->kind != TABLE) refuse(e, in->line, "`%s`: no table of branch targets", in->name);
  EMIT("switch ((u32)(%s)) { ", value(e, in, 0));
  int index = 0;
  for (int i = table->token; strcmp(e->ptx->tokens[i].text, ";"); i++)
    if (strcmp(e->ptx->tokens[i].text, ",")) EMIT("case %d: goto %s; ", index++, mangle(e->ptx->tokens[i].text));
  EMIT("}");
}

static void emit_ret(Emitter *e, Instruction *in) {
  (void)has(in, "uni");
  if (!strcmp(in->parts[0], "exit") && !e->function->entry) refuse(e, in->line, "`exit` within a function is not supported");
  EMIT("{ t->local_top = frame_; return; }");
}

static void emit_trap(Emitter *e, Instruction *in) {
  EMIT("t->rt->fault(t, %d, 719, \"trap\", 0, 0);", in->line);
}

static void emit_nothing(Emitter *e, Instruction *in) {
  for (int i = 1; i < in->partCount; i++) in->used[i] = 1;
  EMIT(";");
}

static void emit_nanosleep(Emitter *e, Instruction *in) {
  (void)next_type(e, in);
  EMIT("t->rt->preempt(t);");
}

static const struct {
  const char *names;   // separated by blanks, a blank at either end
  void (*emit)(Emitter *, Instruction *);
} FAMILIES[] = {
    {" add sub addc subc ", emit_add_sub},
    {" mul mad madc ", emit_mul_mad},
    {" fma ", emit_fma},
    {" div rem ", emit_div_rem},
    {" min max ", emit_min_max},
    {" neg abs ", emit_neg_abs},
    {" sqrt rsqrt rcp ex2 lg2 sin cos tanh ", emit_unary_float},
    {" and or xor not cnot ", emit_logic},
    {" shl shr ", emit_shift},
    {" shf ", emit_shf},
    {" popc clz brev bfe bfi bfind ", emit_bits},
    {" lop3 ", emit_lop3},
    {" prmt ", emit_prmt},
    {" dp4a ", emit_dp4a},
    {" copysign ", emit_copysign},
    {" testp ", emit_testp},
    {" setp set ", emit_setp},
    {" selp ", emit_selp},
    {" slct ", emit_slct},
    {" mov ", emit_mov},
    {" cvt ", emit_cvt},
    {" cvta ", emit_cvta},
    {" isspacep ", emit_isspacep},
    {" ld ldu st ", emit_ld_st},
    {" atom red ", emit_atom},
    {" bar barrier ", emit_barrier},
    {" shfl ", emit_shfl},
    {" vote ", emit_vote},
    {" match ", emit_match},
    {" redux ", emit_redux},
    {" activemask ", emit_activemask},
    {" cp ", emit_cp},
    {" ldmatrix ", emit_ldmatrix},
    {" mma ", emit_mma},
    {" bra ", emit_bra},
    {" brx ", emit_brx},
    {" ret exit ", emit_ret},
    {" trap ", emit_trap},
    {" membar fence prefetch discard applypriority ", emit_nothing},
    {" nanosleep ", emit_nanosleep},
};

// ---- calls ----

static void enqueue(Emitter *e, Function *f, int line) {
  for (int i = 0; i < e->queueCount; i++)
    if (e->queue[i] == f) return;
  if (e->queueCount == (int)(sizeof e->queue / sizeof *e->queue)) refuse(e, line, "too many functions");
  e->queue[e->queueCount++] = f;
}

static int call_arguments(Emitter *e, const char **out) {
  int count = 0;
  expect(e, "(");
  while (!accept(e, ")")) {
    accept(e, ",");
    const char *name = next(e);
    const Symbol *s = find(e, name);
    if (!s || s->kind != CALL_PARAM) refuse(e, line_of(e), "argument `%s` of a call is no .param variable", name);
    if (count == 32) refuse(e, line_of(e), "a call with more than 32 arguments");
    out[count++] = mangle(name);
  }
  return count;
}

static void emit_call(Emitter *e, int line) {
  const char *results[32], *arguments[32];
  int resultCount = 0, argumentCount = 0;
  if (!strcmp(peek(e), "(")) {
    resultCount = call_arguments(e, results);
    expect(e, ",");
  }
  const char *name = next(e);
  if (accept(e, ",")) argumentCount = call_arguments(e, arguments);
  if (strcmp(peek(e), ";")) refuse(e, line, "calls through a pointer are not supported");
  if (!strcmp(name, "vprintf") && argumentCount == 2 && resultCount == 1) {
    EMIT("*(u32 *)%s = t->rt->print(t, %d, *(u64 *)%s, *(u64 *)%s);", results[0], line, arguments[0], arguments[1]);
    return;
  }
  if (!strcmp(name, "__assertfail") && argumentCount == 5) {
    EMIT("t->rt->assert_fail(t, %d, *(u64 *)%s, *(u64 *)%s, *(u32 *)%s, *(u64 *)%s);", line, arguments[0], arguments[1], arguments[2], arguments[3]);
    return;
  }
  Function *f = NULL;
  for (int i = 0; i < e->ptx->functionCount; i++)
    if (!strcmp(e->ptx->functions[i].name, name) && !e->ptx->functions[i].entry) f = e->ptx->functions + i;
  if (!f || !f->body) refuse(e, line, "a call of `%s`, which is not in the module", name);
  if (f->paramCount != argumentCount || f->resultCount != resultCount) refuse(e, line, "a call of `%s` with other arguments", name);
  enqueue(e, f, line);
  EMIT("f%s(t", mangle(name));
  for (int i = 0; i < resultCount; i++) EMIT(", %s", results[i]);
  for (int i = 0; i < argumentCount; i++) EMIT(", %s", arguments[i]);
  EMIT(");");
}

// ---- statements ----

static void emit_instruction(Emitter *e, const char *name) {
  Instruction in = {.name = name, .line = line_of(e)};
  char *parts = strdup(name), *save = NULL;
  // `shared::cta` and `L1::evict_first` hold no dot, so a dot always separates
  for (char *p = strtok_r(parts, ".", &save); p; p = strtok_r(NULL, ".", &save)) {
    if (in.partCount == MAX_PARTS) refuse(e, in.line, "`%s` has too many parts", name);
    in.parts[in.partCount++] = p;
  }
  in.line = e->ptx->tokens[e->at - 1].line;
  if (!strcmp(in.parts[0], "call")) {
    emit_call(e, in.line);
    expect(e, ";");
    return;
  }
  for (size_t i = 0; i < sizeof FAMILIES / sizeof *FAMILIES; i++) {
    if (!strstr(FAMILIES[i].names, form(" %s ", in.parts[0]))) continue;
    while (strcmp(peek(e), ";")) {
      if (in.count == MAX_OPERANDS) refuse(e, in.line, "`%s` has too many operands", name);
      in.operands[in.count++] = operand(e);
      if (!accept(e, ",")) break;
    }
    expect(e, ";");
    FAMILIES[i].emit(e, &in);
    for (int k = 1; k < in.partCount; k++)
      if (!in.used[k]) refuse(e, in.line, "`%s`: `.%s` is not supported", name, in.parts[k]);
    return;
  }
  refuse(e, in.line, "`%s` is not supported", name);
}

static void emit_registers(Emitter *e) {
  const char *word = next(e);
  const Type *type = type_named(word + 1);
  if (!type) refuse(e, line_of(e), "registers of type `%s` are not supported", word);
  const char *c = type->class == 'p' ? "u8" : unsigned_of(type->bytes);
  do {
    const char *name = next(e);
    int count = -1;
    if (accept(e, "<")) {
      count = atoi(next(e));
      expect(e, ">");
    }
    declare(e, (Symbol){.name = name, .kind = REGISTER, .type = type, .count = count});
    EMIT("%s ", c);
    if (count < 0) EMIT("%s = 0", mangle(name));
    for (int i = 0; i < count; i++) EMIT("%s%s%d = 0", i ? ", " : "", mangle(name), i);
    EMIT(";\n");
  } while (accept(e, ","));
  expect(e, ";");
}

// .local and .shared and .param variables of a function: .align N .type name[bytes];
static void emit_variable(Emitter *e, const char *space) {
  Variable v = {.align = 1};
  u32 element = 1;
  while (*peek(e) == '.') {
    const char *word = next(e);
    if (!strcmp(word, ".align")) v.align = (u32)atoi(next(e));
    else {
      const Type *type = type_named(word + 1);
      if (!type) refuse(e, line_of(e), "variables of type `%s` are not supported", word);
      element = type->bytes;
    }
  }
  do {
    int line = line_of(e);
    v.name = next(e);
    v.bytes = element;
    while (accept(e, "[")) {
      v.bytes *= strtoull(next(e), NULL, 0);
      expect(e, "]");
    }
    if (v.align < element) v.align = element;
    if (!strcmp(space, ".shared")) {
      v.space = SHARED;
      u32 index = shared_variable(e, &v);
      declare(e, (Symbol){.name = v.name, .kind = SHARED_VARIABLE, .count = -1, .index = index});
    } else if (!strcmp(space, ".local")) {
      u32 bytes = (u32)(v.bytes + 15) & ~15u;
      e->out->localBytes += bytes;
      declare(e, (Symbol){.name = v.name, .kind = LOCAL_VARIABLE, .count = -1});
      EMIT("u32 %s = local_push(t, %u, %d);\n", mangle(v.name), bytes, line);
    } else {
      declare(e, (Symbol){.name = v.name, .kind = CALL_PARAM, .count = -1, .bytes = (u32)v.bytes});
      EMIT("u8 %s[%llu] __attribute__((aligned(16)));\n", mangle(v.name), (unsigned long long)v.bytes);
    }
  } while (accept(e, ","));
  expect(e, ";");
}

// Declares the labels of a block, so that equal ones of two blocks do not meet.
static void emit_labels(Emitter *e) {
  int depth = 0;
  for (int i = e->at; i < e->function->end; i++) {
    const char *t = e->ptx->tokens[i].text;
    depth += !strcmp(t, "{") - !strcmp(t, "}");
    if (depth < 0) break;
    if (!depth && i + 2 <= e->function->end && !strcmp(e->ptx->tokens[i + 1].text, ":") && strcmp(e->ptx->tokens[i + 2].text, ".branchtargets"))
      EMIT("__label__ %s;\n", mangle(t));
  }
}

static void emit_block(Emitter *e) {
  int symbols = e->symbolCount;
  emit_labels(e);
  while (e->at < e->function->end && strcmp(peek(e), "}")) {
    int line = line_of(e);
    if (accept(e, ";")) continue;
    if (accept(e, "{")) {
      EMIT("{\n");
      emit_block(e);
      expect(e, "}");
      EMIT("}\n");
      continue;
    }
    const char *word = next(e);
    if (word[0] == '.') {
      if (!strcmp(word, ".reg")) emit_registers(e);
      else if (!strcmp(word, ".local") || !strcmp(word, ".shared") || !strcmp(word, ".param")) emit_variable(e, word);
      else if (!strcmp(word, ".loc")) while (e->at < e->function->end && line_of(e) == line) e->at++;
      else if (!strcmp(word, ".pragma")) { (void)next(e); expect(e, ";"); }
      else refuse(e, line, "`%s` is not supported", word);
      continue;
    }
    if (accept(e, ":")) {
      if (accept(e, ".branchtargets")) {
        declare(e, (Symbol){.name = word, .kind = TABLE, .count = -1, .token = e->at});
        while (!accept(e, ";")) e->at++;
      } else {
        EMIT("%s: ;\n", mangle(word));
      }
      continue;
    }
    if (!strcmp(word, "@")) {
      int negated = accept(e, "!");
      const char *predicate = next(e);
      if (!find(e, predicate)) refuse(e, line, "unknown predicate `%s`", predicate);
      EMIT("if (%s%s) ", negated ? "!" : "", mangle(predicate));
      word = next(e);
    }
    EMIT("{ ");
    emit_instruction(e, word);
    EMIT(" }\n");
  }
  e->symbolCount = symbols;
}

static void emit_signature(Text *code, Function *f) {
  text_add(code, "static void f%s(Thread *t", mangle(f->name));
  for (int i = 0; i < f->resultCount; i++) text_add(code, ", u8 *%s", mangle(f->results[i].name));
  for (int i = 0; i < f->paramCount; i++) text_add(code, ", const u8 *%s", mangle(f->params[i].name));
  text_add(code, ")");
}

static void emit_function(Emitter *e, Function *f) {
  e->function = f;
  e->at = f->body;
  e->symbolCount = 0;
  if (f->entry) {
    for (int i = 0; i < f->paramCount; i++)
      declare(e, (Symbol){.name = f->params[i].name, .kind = ENTRY_PARAM, .count = -1, .index = f->params[i].offset, .bytes = f->params[i].bytes});
    EMIT("void kernel(Thread *t) {\n");
  } else {
    for (int i = 0; i < f->resultCount; i++) declare(e, (Symbol){.name = f->results[i].name, .kind = CALL_PARAM, .count = -1});
    for (int i = 0; i < f->paramCount; i++) declare(e, (Symbol){.name = f->params[i].name, .kind = CALL_PARAM, .count = -1});
    emit_signature(e->code, f);
    EMIT(" {\n");
  }
  EMIT("u32 frame_ = t->local_top;\nu64 ignored_ = 0;\n{\n");
  emit_block(e);
  EMIT("}\nt->local_top = frame_;\n}\n");
}

int ptx_translate(Ptx *ptx, Function *entry, Translation *out) {
  memset(out, 0, sizeof *out);
  Emitter e = {.ptx = ptx, .out = out};
  Text bodies = {0};
  if (setjmp(ptx->failed)) return -1;
  e.code = &bodies;
  e.queue[e.queueCount++] = entry;
  for (int i = 0; i < e.queueCount; i++) emit_function(&e, e.queue[i]);
  text_add(&out->code, "#include \"ptx_ops.h\"\n");
  for (int i = 1; i < e.queueCount; i++) {
    emit_signature(&out->code, e.queue[i]);
    text_add(&out->code, ";\n");
  }
  text_add(&out->code, "%s", bodies.data);
  free(bodies.data);
  free(e.symbols);

  // Gaps between the shared variables, so that running over the end of one is seen; what counts
  // against the device's limits has none. Dynamic shared memory is one block after the others.
  u32 at = SPACE_START, packed = 0, dynamicAlign = 1;
  for (int i = 0; i < out->sharedCount; i++) {
    Variable *v = out->shared + i;
    u32 align = v->align ? v->align : 1;
    if (v->dynamic) {
      out->dynamicShared = 1;
      if (align > dynamicAlign) dynamicAlign = align;
      continue;
    }
    at = (at + 127) & ~127u;
    at = (at + align - 1) / align * align;
    v->offset = at;
    at += (u32)v->bytes + 32;
    packed = (packed + align - 1) / align * align + (u32)v->bytes;
  }
  at = (at + 127) & ~127u;
  at = (at + dynamicAlign - 1) / dynamicAlign * dynamicAlign;
  for (int i = 0; i < out->sharedCount; i++)
    if (out->shared[i].dynamic) out->shared[i].offset = at;
  out->sharedStatic = packed;
  out->sharedEnd = at;
  return 0;
}
