/* Converted files of a place (tests/unit/engine/modelfile/fixture.h) as a start loads them, for one test
 * program each: main creates the workers. */
#pragma once

#include "engine/loaded/loaded_model.h"

#include "tests/unit/engine/modelfile/fixture.h"

static struct workers *workers;

static enum status load(const struct place *place, struct loaded_model *model, struct error *e) {
    const struct loaded_model_options options = {.model = place->path, .any_form = true, .any_weights = true};
    return loaded_model_init(model, &options, workers, e);
}

/* What a key of the file's metadata claims is refused with these words. */
static void claim_refused(struct place *place, const char *key, const char *value, const char *words) {
    struct error e = {0};
    struct loaded_model model;
    json_object_set_new(draft_metadata(&place->draft), key, json_string(value));
    place_save(place);
    assert_int_equal(load(place, &model, &e), STATUS_OPTION);
    assert_says(e.text, words);
}
