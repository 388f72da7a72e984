/* Compares two checkpoints tensor by tensor. */
#pragma once

#include "tests/support/test_support.h"

#include "engine/checkpoint/checkpoint.h"

/* Element number i in row-major order. */
static inline double element_of(const struct tensor *t, size_t i) {
    size_t offset = 0;
    double value;
    for (size_t axis = t->rank; axis-- > 0;) {
        offset += i % t->shape[axis] * t->stride[axis];
        i /= t->shape[axis];
    }
    dtype_read(t->dtype, (const char *)t->data + offset * dtype_size(t->dtype), 1, 1, &value);
    return value;
}

static inline void assert_same_tensor(const struct tensor *found, const struct tensor *expected) {
    size_t count = 1;
    assert_int_equal(found->dtype, expected->dtype);
    assert_int_equal(found->rank, expected->rank);
    for (size_t axis = 0; axis < found->rank; axis++) {
        assert_int_equal(found->shape[axis], expected->shape[axis]);
        count *= found->shape[axis];
    }
    for (size_t i = 0; i < count && found->dtype != DTYPE_OTHER; i++) {
        double a = element_of(found, i), b = element_of(expected, i);
        if (memcmp(&a, &b, sizeof a) != 0)
            fail_msg("%s: element %zu is %g; expected %g", found->name, i, a, b);
    }
}

static inline void assert_same_checkpoint(const struct checkpoint *found, const struct checkpoint *expected) {
    assert_int_equal(checkpoint_count(found), checkpoint_count(expected));
    for (size_t i = 0; i < checkpoint_count(found); i++) {
        const struct tensor *t = checkpoint_at(found, i);
        assert_ptr_equal(checkpoint_find(found, t->name), t);
        const struct tensor *other = checkpoint_find(expected, t->name);
        if (!other) fail_msg("tensor %s was not expected", t->name);
        assert_same_tensor(t, other);
    }
}
