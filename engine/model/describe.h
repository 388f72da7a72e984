/* config.json (and generation_config.json) of a model folder -> its description. */
#pragma once

#include "engine/model/description.h"
#include "engine/model/family.h"

/* Fills *d and *family. Everything that the config claims is within the MODEL_*_MAX limits afterwards and
 * consistent (heads divide the width, ...). Keys that the family does not know are refused by name
 * (config_unknown.h). The caller calls description_deinit, also after a failure. */
enum status describe_model(const char *folder, struct model_description *d, const struct family **family,
                           struct error *e);

struct describe_options {
    bool allow_unknown_config_keys; /* they are passed over, and named in d->unknown_keys */
};

/* Bytes of config.json, and of generation_config.json. */
#define CONFIG_BYTES_MAX ((size_t)4 << 20)

/* The same with options. */
enum status describe_model_with(const char *folder, const struct describe_options *options,
                                struct model_description *d, const struct family **family, struct error *e);

/* The texts of the two files where they do not lie in a folder. */
struct describe_texts {
    const char *config, *generation; /* generation: NULL where there is none */
    size_t config_length, generation_length;
    struct describe_options options;
};

/* The same for texts in memory. */
enum status describe_model_texts(const struct describe_texts *texts, struct model_description *d,
                                 const struct family **family, struct error *e);
