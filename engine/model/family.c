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

/* Model types that are known and can't be served, each with the reason. */
static const struct {
    const char *model_type, *reason;
} refused[] = {
    {"openai-gpt", "is Post-LN (the norm stands on the main branch): it has no Pre-CRMSNorm form"},
    {"llama", "uses RMSNorm: there is no LayerNorm to convert"},
    {"mistral", "uses RMSNorm: there is no LayerNorm to convert"},
    {"qwen2", "uses RMSNorm: there is no LayerNorm to convert"},
    {"qwen3", "uses RMSNorm: there is no LayerNorm to convert"},
    {"gemma", "uses RMSNorm: there is no LayerNorm to convert"},
    {"gemma2", "uses RMSNorm: there is no LayerNorm to convert"},
    {"gemma3", "uses RMSNorm: there is no LayerNorm to convert"},
    {"gemma3_text", "uses RMSNorm: there is no LayerNorm to convert"},
    {"phi3", "uses RMSNorm: there is no LayerNorm to convert"},
    {"olmo2", "uses RMSNorm after the sub-layer: there is no LayerNorm to convert"},
    {"mixtral", "is a mixture of experts with RMSNorm: neither is supported"},
    {"dbrx", "is a mixture of experts: not supported"},
    {"phimoe", "is a mixture of experts: not supported"},
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
