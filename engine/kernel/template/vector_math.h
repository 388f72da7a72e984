/* exp and the activations, once for every instruction set: in terms of the vector of the vector_*.h that was
 * included before. Coefficients: minimax fits of relative error, made for this file. */
#pragma once

#define EXP_LOWEST      (-87.3f)
#define EXP_BF16_LOWEST (-38.8f)

/* e^x = e^r 2^n: x = n ln 2 + r with |r| <= ln 2 / 2. */
struct exp_parts {
    struct vector of_r;
    struct vector shifted; /* n, as vector_scale_by_power() takes it */
};

/* e^r = 1 + r + r^2 q(r), q of degree 4 (relative error 4e-9). */
VECTOR_INLINE struct exp_parts vector_exp_parts(struct vector x) {
    const struct vector shift = vector_splat(KERNEL_ROUNDING_SHIFT);
    struct vector shifted = vector_fma(x, vector_splat(0x1.715476p0f), shift);
    struct vector n = vector_subtract(shifted, shift);
    struct vector r = vector_fma(n, vector_splat(-0x1.62e4p-1f), x); /* exact: the constant has 14 bits */
    r = vector_fma(n, vector_splat(-0x1.7f7d1cp-20f), r);
    struct vector q = vector_splat(0x1.6a1a6ep-10f);
    q = vector_fma(q, r, vector_splat(0x1.123fc6p-7f));
    q = vector_fma(q, r, vector_splat(0x1.555916p-5f));
    q = vector_fma(q, r, vector_splat(0x1.55548ap-3f));
    q = vector_fma(q, r, vector_splat(0x1.fffffcp-2f));
    struct vector tail = vector_fma(vector_multiply(r, r), q, r);
    return (struct exp_parts){vector_add(vector_splat(1.0f), tail), shifted};
}

/* e^x. Within 1 ulp of the true value; inf above 88.73, NaN for NaN, and 0 below -87.3: what would be subnormal
 * there is below 1.3e-38, and CPUs take a hundred cycles for each subnormal result, which masked scores and
 * saturated activations would pay. */
VECTOR_INLINE struct vector vector_exp(struct vector x) {
    const struct vector lowest = vector_splat(EXP_LOWEST);
    const struct mask vanishes = vector_greater(lowest, x);
    /* NaN passes through: min and max return their second operand. */
    const struct exp_parts parts = vector_exp_parts(vector_max(lowest, vector_min(vector_splat(89.0f), x)));
    const struct vector power = vector_scale_by_power(parts.of_r, parts.shifted);
    return vector_select(vanishes, vector_splat(0.0f), power);
}

/* The same of an x that is at most 0, or NaN, in fewer operations. What they make of an x below the lowest is not used. */
VECTOR_INLINE struct vector vector_exp_of_fall(struct vector x) {
    const struct mask vanishes = vector_greater(vector_splat(EXP_LOWEST), x);
    const struct exp_parts parts = vector_exp_parts(x);
    return vector_select(vanishes, vector_splat(0.0f), vector_scale_down(parts.of_r, parts.shifted));
}

/* e^x of an x that is at most 0, or NaN, as a number of bf16: within 0.52 of its last place, and 0 below -38.8, where
 * KERNEL_BF16_MIN is near. x log2 e = n + 1/2 + g with |g| <= 1/2; 2^(g + 1/2) is of degree 3 (relative error 7.5e-5) and from
 * 1 to 2, where numbers of bf16 are 2^-7 apart, as all floats are about 2^16. */
VECTOR_INLINE struct vector vector_exp_bf16(struct vector x) {
    const struct vector shift = vector_splat(KERNEL_ROUNDING_SHIFT), places = vector_splat(0x1.8p16f);
    const struct mask vanishes = vector_greater(vector_splat(EXP_BF16_LOWEST), x);
    const struct vector t = vector_fma(x, vector_splat(0x1.715476p0f), vector_splat(-0.5f));
    const struct vector shifted = vector_add(t, shift),
                        g = vector_subtract(t, vector_subtract(shifted, shift));
    struct vector p = vector_splat(0x1.3f96a4p-4f);
    p = vector_fma(p, g, vector_splat(0x1.5f56a4p-2f));
    p = vector_fma(p, g, vector_splat(0x1.f5f97ep-1f));
    p = vector_fma(p, g, vector_splat(0x1.6a033cp0f));
    p = vector_subtract(vector_add(p, places), places);
    return vector_select(vanishes, vector_splat(0.0f), vector_scale_down(p, shifted));
}

/* 1 / (1 + e^-x) */
VECTOR_INLINE struct vector vector_sigmoid(struct vector x) {
    const struct vector one = vector_splat(1.0f);
    struct vector power = vector_exp(vector_subtract(vector_splat(0.0f), x));
    return vector_divide(one, vector_add(one, power));
}

/* tanh x = (1 - e^-2|x|) / (1 + e^-2|x|) with the sign of x; absolute error 1e-7. */
VECTOR_INLINE struct vector vector_tanh(struct vector x) {
    const struct vector zero = vector_splat(0.0f), one = vector_splat(1.0f);
    struct vector size = vector_max(x, vector_subtract(zero, x));
    struct vector power = vector_exp(vector_multiply(size, vector_splat(-2.0f)));
    struct vector result = vector_divide(vector_subtract(one, power), vector_add(one, power));
    return vector_select(vector_greater(zero, x), vector_subtract(zero, result), result);
}

/* cap * tanh(x * inverse), inverse = 1 / cap. */
VECTOR_INLINE struct vector vector_soft_cap(struct vector x, float cap, float inverse) {
    return vector_multiply(vector_splat(cap), vector_tanh(vector_multiply(x, vector_splat(inverse))));
}

/* The normal distribution function, (1 + erf(x / sqrt 2)) / 2, by its tail: for a = |x|,
 * (1 - erf(a / sqrt 2)) / 2 = e^(-a^2/2) t P(t) with t = 1 / (1 + 0.35 a), P of degree 8 (relative error
 * 4e-8). */
VECTOR_INLINE struct vector vector_normal(struct vector x) {
    const struct vector zero = vector_splat(0.0f), one = vector_splat(1.0f);
    struct vector a = vector_max(x, vector_subtract(zero, x));
    struct vector t = vector_divide(one, vector_fma(a, vector_splat(0.35f), one));
    struct vector p = vector_splat(-0.029146140441298485f);
    p = vector_fma(p, t, vector_splat(0.143972709774971008f));
    p = vector_fma(p, t, vector_splat(-0.25571632385253906f));
    p = vector_fma(p, t, vector_splat(0.15917651355266571f));
    p = vector_fma(p, t, vector_splat(-0.023111430928111076f));
    p = vector_fma(p, t, vector_splat(0.10550867021083832f));
    p = vector_fma(p, t, vector_splat(0.11983270198106766f));
    p = vector_fma(p, t, vector_splat(0.13986189663410187f));
    p = vector_fma(p, t, vector_splat(0.13962140679359436f));
    struct vector power = vector_exp(vector_multiply(vector_multiply(a, vector_splat(-0.5f)), a));
    struct vector tail = vector_multiply(vector_multiply(p, t), power);
    return vector_select(vector_greater(x, zero), vector_subtract(one, tail), tail);
}

/* x/2 (1 + tanh(u)) = x sigmoid(2u) with u = sqrt(2/pi) (x + 0.044715 x^3): no cancellation where tanh is
 * near -1. */
VECTOR_INLINE struct vector vector_gelu_tanh(struct vector x) {
    struct vector factor =
        vector_fma(vector_multiply(x, x), vector_splat(0.0713548162726f), vector_splat(1.59576912161f));
    return vector_multiply(x, vector_sigmoid(vector_multiply(x, factor)));
}

VECTOR_INLINE struct vector vector_activate(enum activation activation, struct vector x) {
    const struct vector zero = vector_splat(0.0f);
    switch (activation) {
    case ACTIVATION_RELU:
        return vector_max(zero, x);
    case ACTIVATION_RELU_SQUARED:
        x = vector_max(zero, x);
        return vector_multiply(x, x);
    case ACTIVATION_GELU:
        return vector_multiply(x, vector_normal(x));
    case ACTIVATION_GELU_TANH:
        return vector_gelu_tanh(x);
    case ACTIVATION_GELU_QUICK:
        return vector_multiply(x, vector_sigmoid(vector_multiply(x, vector_splat(1.702f))));
    case ACTIVATION_SILU:
        return vector_multiply(x, vector_sigmoid(x));
    case ACTIVATION_NONE:
    case ACTIVATION_COUNT:
        break;
    }
    return x;
}
