/* The tables of families.def, for family_find. */
#include "engine/model/family.h"

#define POST_LN    "is Post-LN (its norms are on the residual stream): it has no Pre-CRMSNorm form"
#define NO_ADAPTER "is not supported: no adapter, and no reference for it"
#define IMAGES     "has an image tower or other inputs than text: only text models are served"
#define LATENT     "has multi-head latent attention: not supported"
#define HYBRID     "mixes attention with recurrent layers: not supported"
#define EXPERTS    "is a mixture of experts: not supported"
#define ENCODER    "has an encoder: only decoders are served"
#define RECURRENT  "is no transformer: not supported"
#define OLD_FALCON                                                                                           \
    "is an old name of falcon with other keys: expected a checkpoint that transformers has saved as falcon"

#define FAMILY(name) extern const struct family family_##name;
#define REFUSED(model_type, reason)
#include "engine/model/families/families.def"
#undef FAMILY
#undef REFUSED

const struct family *const family_list[] = {
#define FAMILY(name) &family_##name,
#define REFUSED(model_type, reason)
#include "engine/model/families/families.def"
#undef FAMILY
#undef REFUSED
    NULL,
};

const struct refused_family refused_families[] = {
#define FAMILY(name)
#define REFUSED(model_type, reason) {model_type, reason},
#include "engine/model/families/families.def"
#undef FAMILY
#undef REFUSED
    {NULL, NULL},
};
