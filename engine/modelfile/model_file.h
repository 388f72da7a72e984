/* A converted file (docs/model-file.md is its format): the packed weights as they are in memory, the
 * embedding tables, and the texts of the configuration and the tokenizer. Opening maps it and checks every
 * byte against its checksum.
 *
 * A checksum finds damage, not malice, so whatever the file claims is checked as well. And it claims little:
 * the description, tensor views and folded view are built from the stored texts, vectors and shapes by the
 * code that does so for a checkpoint. The layout of the packed weights follows from that, and from which layers are said to
 * be massive, and which channels quiet.
 *
 * Used by the loading thread; an open file is only read. */
#pragma once

#include "engine/base/workers.h"
#include "engine/files/mapped_file.h"
#include "engine/model/tensor_views.h"
#include "engine/pack/packed_model.h"
#include "engine/types/adapter.h"
#include "engine/types/calibration.h"

#define MODEL_FILE_VERSION 1

/* Texts of a model's folder. NULL where there is none; the configuration always is. */
struct model_file_texts {
    const char *config, *generation, *tokenizer; /* config.json, generation_config.json, tokenizer.json */
    const char *chat; /* the chat template and its variables (engine/text/sources/chat_source.h) */
    size_t config_length, generation_length, tokenizer_length, chat_length;
};

struct model_file {
    struct mapped_file file;
    enum norm_form form;
    enum weight_type weights, head; /* of its linears, and of the head */
    bool rotated;                   /* the model was (folded_model_rotate), as its layout says */
    /* int8: the layers of MLPs with massive activations (engine/fold/massive.h). */
    bool massive[MODEL_LAYERS_MAX];
    /* int8: the channels of the stream that its norms quieten (engine/fold/quiet.h). */
    size_t quiet[LOUD_CHANNELS_MAX], quiet_count;
    struct adapter_identity adapter; /* that was merged; name "": none */
    struct calibration_identity calibration;
    struct model_file_texts texts;
    const void *packed; /* aligned to KERNEL_ALIGN */
    size_t packed_bytes;
    struct checkpoint *checkpoint; /* the tensors that are there, and the shapes of those that are packed */
};

typedef void (*model_file_progress_fn)(void *context, double share);

/* Maps the file at path, checks all of it, and finds its parts. Errors name the file: STATUS_UNSUPPORTED for
 * another version or layout, STATUS_MALFORMED for a file that is not a converted one, is truncated, or is
 * damaged (with the part). On failure *p holds nothing. */
enum status model_file_open(const char *path, struct workers *workers, model_file_progress_fn progress,
                            void *context, struct model_file *p, struct error *e);
void model_file_close(struct model_file *p);

/* To be called once there are views of p->checkpoint, before anything reads a value: checks that all values
 * that will be read are there, and that no more weights are claimed than could be packed in the file. */
enum status model_file_check(const struct model_file *p, const struct tensor_views *views, struct error *e);

/* Whether the regular file at path begins like a converted file, of any version. Else STATUS_MALFORMED, with what helps
 * where its name tells of another format; STATUS_NOT_FOUND, STATUS_IO: it cannot be read. model_file_open asks too. */
enum status model_file_look(const char *path, struct error *e);

/* What to say of a folder that is no checkpoint: "", or "; " and what helps where a model of another format lies in it. */
const char *model_file_folder_hint(const char *folder);

/* What is written. */
struct model_file_content {
    const struct packed_model *packed;              /* of MATMUL_OWN */
    const struct adapter_identity *adapter;         /* NULL, or name "": none was merged */
    const struct calibration_identity *calibration; /* NULL, or tokens 0: there was none */
    struct model_file_texts texts;
};

struct file_writer;

/* Appends all of it to a writer that is new. progress may be NULL. */
enum status model_file_write(struct file_writer *w, const struct model_file_content *content,
                             model_file_progress_fn progress, void *context, struct error *e);
