/* The adapters, one file each; only family.c lists them. */
#pragma once

#include "engine/model/config_generic.h"
#include "engine/model/config_rotary.h"
#include "engine/model/family.h"

extern const struct family family_biogpt;
extern const struct family family_bloom;
extern const struct family family_codegen;
extern const struct family family_cohere;
extern const struct family family_cohere2;
extern const struct family family_ctrl;
extern const struct family family_falcon;
extern const struct family family_gpt2;
extern const struct family family_gpt_bigcode;
extern const struct family family_gpt_neo;
extern const struct family family_gpt_neox;
extern const struct family family_gpt_neox_japanese;
extern const struct family family_gptj;
extern const struct family family_mpt;
extern const struct family family_nemotron;
extern const struct family family_olmo;
extern const struct family family_opt;
extern const struct family family_persimmon;
extern const struct family family_phi;
extern const struct family family_prenorm;
extern const struct family family_stablelm;
extern const struct family family_starcoder2;
extern const struct family family_xglm;
