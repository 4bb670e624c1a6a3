// The elementwise functions of fornax.backend.Unary and Binary, in F32.
#pragma once

#define SQRT_2_OVER_PI 0.7978845608028654f  // arXiv:1606.08415 §2
#define CUBIC 0.044715f                     // arXiv:1606.08415 §2
#define SQRT_HALF 0.7071067811865476f
#define TWO_OVER_SQRT_PI 1.1283791670955126f
#define INVERSE_SQRT_2_PI 0.3989422804014327f

// The ordinals of fornax.backend.Unary.
enum UnaryOp {
  NEGATE = 0,
  ABS = 1,
  SIGN = 2,
  SQUARE = 3,
  SQRT = 4,
  RSQRT = 5,
  RECIPROCAL = 6,
  EXP = 7,
  LOG = 8,
  TANH = 9,
  SIGMOID = 10,
  SOFTPLUS = 11,
  RELU = 12,
  SILU = 13,
  GELU_TANH = 14,
  GELU_ERF = 15,
  ERF = 16,
  SIN = 17,
  COS = 18
};

// The ordinals of fornax.backend.Binary.
enum BinaryOp {
  ADD = 0,
  SUBTRACT = 1,
  MULTIPLY = 2,
  DIVIDE = 3,
  POWER = 4,
  MAXIMUM = 5,
  MINIMUM = 6
};

__device__ __forceinline__ float sigmoid(float x) { return 1 / (1 + expf(-x)); }

__device__ __forceinline__ float geluTanhInner(float x) {
  return tanhf(SQRT_2_OVER_PI * (x + CUBIC * x * x * x));
}

// `op` is a constant at every call in a hot loop, and the switch goes away.
__device__ __forceinline__ float unary(int op, float x) {
  switch (op) {
    case NEGATE:
      return -x;
    case ABS:
      return fabsf(x);
    case SIGN:
      return x > 0 ? 1 : x < 0 ? -1 : isNan(x) ? x : 0;
    case SQUARE:
      return x * x;
    case SQRT:
      return sqrtf(x);
    case RSQRT:
      return 1 / sqrtf(x);
    case RECIPROCAL:
      return 1 / x;
    case EXP:
      return expf(x);
    case LOG:
      return logf(x);
    case TANH:
      return tanhf(x);
    case SIGMOID:
      return sigmoid(x);
    case SOFTPLUS:
      return fmaxf(x, 0) + log1pf(expf(-fabsf(x)));
    case RELU:
      return x > 0 || isNan(x) ? x : 0;
    case SILU:
      return x * sigmoid(x);
    case GELU_TANH:
      return 0.5f * x * (1 + geluTanhInner(x));
    case GELU_ERF:
      return 0.5f * x * (1 + erff(x * SQRT_HALF));
    case ERF:
      return erff(x);
    case SIN:
      return sinf(x);
    default:
      return cosf(x);
  }
}

// The derivative at x, where y = op(x).
__device__ __forceinline__ float derivative(int op, float x, float y) {
  switch (op) {
    case NEGATE:
      return -1;
    case ABS:
      return unary(SIGN, x);
    case SIGN:
      return 0;
    case SQUARE:
      return 2 * x;
    case SQRT:
      return 1 / (2 * y);
    case RSQRT:  // −y³/2 = −y / 2x
      return y / x * -0.5f;
    case RECIPROCAL:
      return -(y * y);
    case EXP:
      return y;
    case LOG:
      return 1 / x;
    case TANH:
      return 1 - y * y;
    case SIGMOID:
      return (1 - y) * y;
    case SOFTPLUS:
      return sigmoid(x);
    case RELU:
      return x > 0 ? 1 : 0;
    case SILU: {  // s(1 + x(1 − s))
      float s = sigmoid(x);
      return s * (1 + x * (1 - s));
    }
    case GELU_TANH: {  // ½(1 + t) + ½x(1 − t²)u′
      float t = geluTanhInner(x);
      float du = SQRT_2_OVER_PI * (1 + 3 * CUBIC * x * x);
      return 0.5f * (1 + t + x * (1 - t * t) * du);
    }
    case GELU_ERF:
      return 0.5f * (1 + erff(x * SQRT_HALF)) + x * INVERSE_SQRT_2_PI * expf(-0.5f * x * x);
    case ERF:
      return TWO_OVER_SQRT_PI * expf(-x * x);
    case SIN:
      return cosf(x);
    default:
      return -sinf(x);
  }
}

__device__ __forceinline__ float binary(int op, float a, float b) {
  switch (op) {
    case ADD:
      return a + b;
    case SUBTRACT:
      return a - b;
    case MULTIPLY:
      return a * b;
    case DIVIDE:
      return a / b;
    case POWER:
      return powf(a, b);
    case MAXIMUM:
      return Max::apply(a, b);
    default:
      return Min::apply(a, b);
  }
}
