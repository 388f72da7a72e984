#include "engine/model/family.h"

#include <string.h>

#include "engine/model/families.h"

const struct family *const family_list[] = {
    &family_biogpt,      &family_bloom,     &family_codegen,  &family_cohere,
    &family_cohere2,     &family_ctrl,      &family_falcon,   &family_gpt2,
    &family_gpt_bigcode, &family_gpt_neo,   &family_gpt_neox, &family_gpt_neox_japanese,
    &family_gptj,        &family_mpt,       &family_nemotron, &family_olmo,
    &family_opt,         &family_persimmon, &family_phi,      &family_stablelm,
    &family_starcoder2,  &family_xglm,      &family_prenorm,  NULL,
};

#define POST_LN   "is Post-LN (the norm stands on the main branch): it has no Pre-CRMSNorm form"
#define RMS_NORM  "uses RMSNorm: there is no LayerNorm to convert"
#define EXPERTS   "is a mixture of experts: not supported"
#define ENCODER   "has an encoder: only decoders are served"
#define RECURRENT "is no transformer: not supported"
#define FALCON                                                                                               \
    "is an old name of falcon with other keys: expected a checkpoint that transformers has saved as falcon"

/* Model types that are known and can't be served, each with the reason. */
static const struct {
    const char *model_type, *reason;
} refused[] = {
    {"openai-gpt", POST_LN},
    {"bert", POST_LN},
    {"roberta", POST_LN},
    {"llama", RMS_NORM},
    {"mistral", RMS_NORM},
    {"ministral", RMS_NORM},
    {"qwen2", RMS_NORM},
    {"qwen3", RMS_NORM},
    {"gemma", RMS_NORM},
    {"gemma2", RMS_NORM},
    {"gemma3", RMS_NORM},
    {"gemma3_text", RMS_NORM},
    {"phi3", RMS_NORM},
    {"granite", RMS_NORM},
    {"glm", RMS_NORM},
    {"glm4", RMS_NORM},
    {"smollm3", RMS_NORM},
    {"olmo2", "uses RMSNorm after the sub-layer: there is no LayerNorm to convert"},
    {"olmo3", "uses RMSNorm after the sub-layer: there is no LayerNorm to convert"},
    {"mixtral", EXPERTS},
    {"dbrx", EXPERTS},
    {"phimoe", EXPERTS},
    {"olmoe", EXPERTS},
    {"gpt_oss", EXPERTS},
    {"qwen2_moe", EXPERTS},
    {"qwen3_moe", EXPERTS},
    {"deepseek_v2", EXPERTS},
    {"deepseek_v3", EXPERTS},
    {"t5", ENCODER},
    {"bart", ENCODER},
    {"mbart", ENCODER},
    {"whisper", ENCODER},
    {"rwkv", RECURRENT},
    {"mamba", RECURRENT},
    {"mamba2", RECURRENT},
    {"RefinedWeb", FALCON},
    {"RefinedWebModel", FALCON},
};

const struct family *family_find(const char *model_type, struct error *e) {
    for (size_t i = 0; family_list[i]; i++)
        if (strcmp(family_list[i]->model_type, model_type) == 0) return family_list[i];
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (strcmp(refused[i].model_type, model_type) == 0) {
            error_set(e, STATUS_UNSUPPORTED, "config.json: model_type", "%s %s", model_type,
                      refused[i].reason);
            return NULL;
        }
    char known[512] = "";
    for (size_t i = 0; family_list[i]; i++) {
        strncat(known, i ? ", " : "", sizeof known - strlen(known) - 1);
        strncat(known, family_list[i]->model_type, sizeof known - strlen(known) - 1);
    }
    error_set(e, STATUS_UNSUPPORTED, "config.json: model_type", "unknown model type \"%.60s\"; supported: %s",
              model_type, known);
    return NULL;
}
