/* The tables of families.def, for family_find. */
#include "engine/model/family.h"

#define POST_LN    "is Post-LN (its norms are on the residual stream): it has no Pre-CRMSNorm form"
#define NO_ADAPTER "is not supported: no adapter, and no reference for it"
#define IMAGES     "has an image tower or other inputs than text: only text models are served"
#define LATENT     "has multi-head latent attention: not supported"
#define HYBRID     "mixes attention with recurrent layers: not supported"
#define EXPERTS    "is a mixture of experts: not supported"
#define ENCODER    "has an encoder: only decoders are served"
#define RECURRENT  "is not a transformer: not supported"
#define OLD_FALCON                                                                                           \
    "is what falcon was called before transformers had it, with other keys: take the config.json of the "    \
    "repository's current revision, which is a falcon's; the weights are the same"
#define OLD_STABLELM                                                                                         \
    "is what stablelm was called before transformers had it, with other keys: take the config.json of the "  \
    "repository's current revision, which is a stablelm's; the weights are the same"
#define OLD_PHI                                                                                              \
    "is a phi with the tensors of Microsoft's own code, before transformers had it: take the repository's "  \
    "current revision, config.json and weights, which are a phi's"

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
