/* A model folder up to where it is folded into a form. */
#pragma once

#include "engine/fold/folded_model.h"
#include "engine/model/describe.h"
#include "tests/support/test_support.h"

/* Its parts point at each other: it stays where it is. */
struct folded_place {
    struct model_description description;
    struct checkpoint *checkpoint;
    struct tensor_views views;
    struct folded_model folded;
};

static inline void folded_place_init(struct folded_place *p, const char *folder, enum norm_form form) {
    struct error e = {0};
    const struct family *family;
    assert_ok(describe_model(folder, &p->description, &family, &e));
    assert_ok(checkpoint_open(folder, &p->checkpoint, &e));
    assert_ok(tensor_views_init(&p->views, &p->description, family, p->checkpoint, &e));
    assert_ok(folded_model_init(&p->folded, &p->views, form, &e));
}

static inline void folded_place_deinit(struct folded_place *p) {
    folded_model_deinit(&p->folded);
    tensor_views_deinit(&p->views);
    checkpoint_close(p->checkpoint);
    description_deinit(&p->description);
}
