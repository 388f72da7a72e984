/* Names of a checkpoint beside those of its model: what other programs put around them, what they leave
 * in the file, and what may be passed over. */
#pragma once

#include "engine/checkpoint/checkpoint.h"
#include "engine/model/family.h"

/* Bytes of a wrapper that every name begins with ("module." of DataParallel, "_orig_mod." of torch.compile,
 * "base_model.model." of PEFT, several in turn); 0 where there is none. The same tensors lie behind it. */
size_t tensors_wrapper(const struct checkpoint *checkpoint);

/* Why a tensor may be missing, as a further sentence of a message: an adapter that has not been merged, a wrapper around
 * some names. "" where nothing is known. The text is static. */
const char *tensors_missing_hint(const struct checkpoint *checkpoint);

/* Every tensor must be one of used (sorted by address): one that is not read would silently not count.
 * Passed over are the family's buffers and, with a line in the log, heads that a causal language model does not have:
 * of values, rewards and classes. */
enum status tensors_check_spare(const struct checkpoint *checkpoint, const struct family *family,
                                const struct tensor *const *used, size_t used_count, struct error *e);
