/* Pseudo-random arguments: element i of a tensor is made from the i-th number of splitmix64(seed). */
#include <string.h>

#include "runner.h"

static uint64_t next(uint64_t *state) {
  uint64_t z = *state += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/* The `bits` highest of a number as k / 2^bits. As many as a significand holds, so that nothing rounds up to 1. */
#define FILL_FLOAT(type, bits)                                                                         \
  for (size_t i = 0; i < n; i++) ((type *)data)[i] = (type)(next(&seed) >> (64 - (bits))) / (type)(1ull << (bits))
#define FILL_INTEGER(type) \
  for (size_t i = 0; i < n; i++) ((type *)data)[i] = (type)((next(&seed) >> 32) * 10 >> 32)

static uint16_t upper_half(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (uint16_t)(bits >> 16);
}

/* k / 2^11 as an IEEE half, exactly. */
static uint16_t half(uint32_t k) {
  if (k == 0) return 0;
  int top = 31 - __builtin_clz(k); /* value = 1.xxx * 2^(top - 11) */
  uint32_t fraction = (k << (10 - (top > 10 ? 10 : top))) & 0x3FF;
  return (uint16_t)((uint32_t)(top - 11 + 15) << 10 | fraction);
}

bool fill(void *data, DLDataType dtype, size_t nbytes, uint64_t seed) {
  size_t n = nbytes / (dtype.bits / 8);
  switch (dtype.code << 8 | dtype.bits) {
    case kDLFloat << 8 | 64: FILL_FLOAT(double, 53); return true;
    case kDLFloat << 8 | 32: FILL_FLOAT(float, 24); return true;
    case kDLFloat << 8 | 16:
      for (size_t i = 0; i < n; i++) ((uint16_t *)data)[i] = half((uint32_t)(next(&seed) >> 53));
      return true;
    case kDLBfloat << 8 | 16:
      for (size_t i = 0; i < n; i++) ((uint16_t *)data)[i] = upper_half((float)(next(&seed) >> 56) / 256.0f);
      return true;
    case kDLBool << 8 | 8:
      for (size_t i = 0; i < n; i++) ((uint8_t *)data)[i] = (uint8_t)(next(&seed) >> 63);
      return true;
    case kDLInt << 8 | 8: case kDLUInt << 8 | 8: FILL_INTEGER(uint8_t); return true;
    case kDLInt << 8 | 16: case kDLUInt << 8 | 16: FILL_INTEGER(uint16_t); return true;
    case kDLInt << 8 | 32: case kDLUInt << 8 | 32: FILL_INTEGER(uint32_t); return true;
    case kDLInt << 8 | 64: case kDLUInt << 8 | 64: FILL_INTEGER(uint64_t); return true;
    default: return false;
  }
}
