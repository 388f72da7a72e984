#include "engine/api/loader_options.h"

struct loaded_model_options loader_options(const struct engine_options *o) {
    return (struct loaded_model_options){.model = o->model,
                                         .lora = o->lora,
                                         .ignore_adapter = o->ignore_adapter,
                                         .form = o->norm_form,
                                         .matmul = o->matmul,
                                         .weights = o->weights,
                                         .head = o->head,
                                         .any_form = o->any_form,
                                         .form_asked = !o->any_form,
                                         .any_weights = o->any_weights,
                                         .allow_unknown_config_keys = o->allow_unknown_config_keys,
                                         .context = o->context,
                                         .extend_context = o->extend_context};
}
