/* The options that the tests of the engine's door open it with. */
#pragma once

#include "engine/api/engine.h"
#include "tests/support/test_support.h"

/* A small engine over a model of the source tree, with the defaults of everything else; tests change what they are
 * about. */
static inline struct engine_options fixture_options(const char *model) {
    return (struct engine_options){.model = test_source_path(model),
                                   .norm_form = NORM_FORM_CRMSNORM,
                                   .weights = WEIGHT_TYPE_F32,
                                   .kv_type = KV_TYPE_AUTO,
                                   .matmul = MATMUL_OWN,
                                   .isa = KERNEL_ISA_AUTO,
                                   .threads = 2,
                                   .kv_page_tokens = 16,
                                   .prefix_cache = true,
                                   .sequences_max = 4,
                                   .queue_max = 8,
                                   .step_tokens = 32,
                                   .max_pending_events = 4,
                                   .logprobs_max = 5};
}
