// Elementwise primitives: y[i] = f(x[i], ...), one work-item an element. FLAT says that every operand is contiguous.

#ifdef FLAT
#define PLACES(operands) \
  const INDEX i = (INDEX)get_global_id(0); \
  if (i >= loops.count) return; \
  const Places p = {{i, i, i, i}}
#else
#define PLACES(operands) \
  const INDEX i = (INDEX)get_global_id(0); \
  if (i >= loops.count) return; \
  const Places p = places(&loops, operands, i)
#endif

#ifdef KERNEL_unary
// OP: a constant of Unary.
#if IS_FLOAT(X)
#define APPLY(x) JOIN(f_, OP)(x)
#else
#define i_NEGATE(x) (int)(0u - (uint)(x))
#define i_ABS(x) ((x) < 0 ? (int)(0u - (uint)(x)) : (x))
#define i_SIGN(x) ((x) > 0 ? 1 : (x) < 0 ? -1 : 0)
#define APPLY(x) JOIN(i_, OP)(x)
#endif
kernel void unary(IN(X, x), OUT(Y, y), const Loops loops) {
  FROM(x);
  FROM(y);
  PLACES(2);
  STORE(Y, y, p.at[1], APPLY(LOAD(X, x, p.at[0])));
}
#endif

#ifdef KERNEL_unary_gradient
// dx = dy·op′(x); y = op(x). Source of the derivatives: common.clh.
kernel void unary_gradient(
    IN(X, x), IN(Y, y), IN(DY, dy), OUT(DX, dx), const Loops loops) {
  FROM(x);
  FROM(y);
  FROM(dy);
  FROM(dx);
  PLACES(4);
  const float d = JOIN(d_, OP)(LOAD(X, x, p.at[0]), LOAD(Y, y, p.at[1]));
  STORE(DX, dx, p.at[3], d * LOAD(DY, dy, p.at[2]));
}
#endif

#if defined(KERNEL_binary) || defined(KERNEL_binary_scalar)
// OP: a constant of Binary.
#if IS_FLOAT(A)
#define b_ADD(a, b) ((a) + (b))
#define b_SUBTRACT(a, b) ((a) - (b))
#define b_MULTIPLY(a, b) ((a) * (b))
#define b_DIVIDE(a, b) ((a) / (b))
#define b_POWER(a, b) power(a, b)
#define b_MAXIMUM(a, b) larger(a, b)
#define b_MINIMUM(a, b) smaller(a, b)
// As StrictMath.pow, which differs from C's pow for an exponent that is NaN or, with a base of ±1, infinite.
inline float power(float a, float b) {
  if (isnan(b) || (isinf(b) && fabs(a) == 1.0f)) {
    return NAN;
  }
  return pow(a, b);
}
#else
#define b_ADD(a, b) (int)((uint)(a) + (uint)(b))
#define b_SUBTRACT(a, b) (int)((uint)(a) - (uint)(b))
#define b_MULTIPLY(a, b) (int)((uint)(a) * (uint)(b))
#define b_MAXIMUM(a, b) max(a, b)
#define b_MINIMUM(a, b) min(a, b)
#endif
#endif

#ifdef KERNEL_binary
kernel void binary(IN(A, a), IN(B, b), OUT(Y, y), const Loops loops) {
  FROM(a);
  FROM(b);
  FROM(y);
  PLACES(3);
  const NUMBER(A) left = LOAD(A, a, p.at[0]);
  const NUMBER(A) right = LOAD(B, b, p.at[1]);
  STORE(Y, y, p.at[2], JOIN(b_, OP)(left, right));
}
#endif

#ifdef KERNEL_binary_scalar
kernel void binary_scalar(
    IN(A, a), const NUMBER(A) right, OUT(Y, y), const Loops loops) {
  FROM(a);
  FROM(y);
  PLACES(2);
  const NUMBER(A) left = LOAD(A, a, p.at[0]);
  STORE(Y, y, p.at[1], JOIN(b_, OP)(left, right));
}
#endif

// OP: an operator of C.
#ifdef KERNEL_compare
kernel void compare(IN(A, a), IN(B, b), OUT(BOOL, y), const Loops loops) {
  FROM(a);
  FROM(b);
  FROM(y);
  PLACES(3);
  y[p.at[2]] = (LOAD(A, a, p.at[0]) OP LOAD(B, b, p.at[1])) ? 1 : 0;
}
#endif

#ifdef KERNEL_compare_scalar
kernel void compare_scalar(
    IN(A, a), const NUMBER(A) right, OUT(BOOL, y), const Loops loops) {
  FROM(a);
  FROM(y);
  PLACES(2);
  y[p.at[1]] = (LOAD(A, a, p.at[0]) OP right) ? 1 : 0;
}
#endif

#ifdef KERNEL_where
kernel void where(IN(BOOL, condition), IN(A, a), IN(A, b), OUT(A, y), const Loops loops) {
  FROM(condition);
  FROM(a);
  FROM(b);
  FROM(y);
  PLACES(4);
  y[p.at[3]] = condition[p.at[0]] ? a[p.at[1]] : b[p.at[2]];
}
#endif

#ifdef KERNEL_copy
// To I32 from floating: truncated, NaN is 0, the rest the nearest end of the range.
#if IS_FLOAT(X) && !IS_FLOAT(Y)
#if IS_BOOL(Y)
#define CONVERT(v) ((v) != 0.0f)
#else
#define CONVERT(v) ((v) != (v) ? 0 : convert_int_sat_rtz(v))
#endif
#elif IS_FLOAT(Y)
#define CONVERT(v) ((float)(v))
#else
#define CONVERT(v) (v)
#endif
kernel void copy(IN(X, x), OUT(Y, y), const Loops loops) {
  FROM(x);
  FROM(y);
  PLACES(2);
#ifdef SAME
  y[p.at[1]] = x[p.at[0]]; // bits, so that every NaN stays what it is
#else
  const NUMBER(X) value = LOAD(X, x, p.at[0]);
  STORE(Y, y, p.at[1], CONVERT(value));
#endif
}
#endif

#ifdef KERNEL_fill
kernel void fill(OUT(Y, y), const NUMBER(Y) value, const Loops loops) {
  FROM(y);
  PLACES(1);
  STORE(Y, y, p.at[0], value);
}
#endif

#ifdef KERNEL_range
// y[i] = start + i·step.
kernel void range(OUT(Y, y), const NUMBER(Y) start, const NUMBER(Y) step, const INDEX count) {
  FROM(y);
  const INDEX i = (INDEX)get_global_id(0);
  if (i >= count) return;
#if IS_FLOAT(Y)
  STORE(Y, y, i, fma((float)i, step, start));
#else
  STORE(Y, y, i, (int)((uint)start + (uint)i * (uint)step));
#endif
}
#endif
