/* A LoRA adapter (Hu et al. 2021) as the PEFT library saves it, merged into the model that it was trained on:
 * W' = W + scale B A. The sum is made as rows of W are read (engine/model/low_rank.h), before anything is folded,
 * in double precision; no second copy of W exists. What the adapter has whole (modules_to_save, biases) takes the
 * place of the base's tensor.
 *
 * A tied table and head stay one table on disk, but each has its own adapter, as in training: an adapter of the
 * embedding leaves the head alone, and the other way round.
 *
 * It never guesses: a tensor that belongs to no weight of the model, or to a module that the configuration does
 * not select, and any kind of adapter that is not implemented are errors. (A module that is selected and that the
 * file has nothing for stays as it is, with a warning, as in PEFT.) Used by the loading thread; what it attached to
 * views may be read by any. */
#pragma once

#include "engine/model/tensor_views.h"
#include "engine/types/adapter.h"

struct lora;

/* Opens adapter_config.json with adapter_model.safetensors or adapter_model.bin. STATUS_UNSUPPORTED: of another
 * kind, by name. */
enum status lora_open(const char *folder, struct lora **out, struct error *e);
void lora_close(struct lora *l);

const struct adapter_identity *lora_identity(const struct lora *l);

/* tensor_views_init of the base's tensors with the adapter's changes. Once; the views borrow from l and from
 * base until they are gone. Says in the log what was merged. */
enum status lora_bind(struct lora *l, const struct model_description *description,
                      const struct family *family, const struct checkpoint *base, struct tensor_views *views,
                      struct error *e);

/* An adapter that lies in the model's own folder is not passed over: STATUS_OPTION unless `ignore`, or `lora`
 * (NULL: no adapter is asked for) is that folder. STATUS_OPTION for a folder with an adapter and no base, too. */
enum status lora_check_folder(const char *model, const char *lora, bool ignore, struct error *e);
