/* Life of a model: folder -> description -> tensor views -> folded view -> packed weights. From a converted
 * file it is the same, except that the packed weights are in the file. Its linears have shapes but no values,
 * so only the packed model can run, not the reference pass. An adapter is merged between the tensors and their
 * views. */
#pragma once

#include "engine/lora/lora.h"
#include "engine/pack/packed_model.h"
#include "engine/modelfile/model_file.h"
#include "engine/text/tokenizer.h"

struct loaded_model {
    struct model_file file; /* file.path NULL: a folder */
    struct model_description description;
    struct checkpoint *checkpoint;
    struct lora *lora;               /* NULL: no adapter is merged here */
    struct adapter_identity adapter; /* that was merged, here or before the file was written; name "": none */
    struct calibration_identity calibration; /* before the file was written; tokens 0: none */
    struct tensor_views views;
    struct folded_model folded;
    struct packed_model packed;
    size_t
        own_context; /* tokens that the model was made for; description.context may be more (extend_context) */
};

struct loaded_model_options {
    const char *model;   /* folder of the checkpoint, or a converted file */
    const char *lora;    /* folder of an adapter to merge; NULL: none. Only into a folder's model */
    bool ignore_adapter; /* one that lies in the model's folder is left alone, instead of refused */
    enum norm_form form;
    enum matmul_kind matmul;
    enum weight_type weights;   /* f32 when left out */
    enum head_weights head;     /* a converted file has to have it, but for AUTO */
    bool rotate;                /* a folder's model, whatever the type of weights (folded_model_rotate) */
    bool exact_form;            /* else CRMSNorm with weights other than f32 runs in its orthonormal basis */
    bool any_form, any_weights; /* a converted file may have others */
    bool form_asked;            /* by name: STATUS_OPTION where a model of RMSNorm has no such form */
    bool allow_unknown_config_keys; /* they are passed over */
    size_t
        context; /* of a sequence; 0: the model's own. More than that is an error without extend_context, and
                       always where positions are a learned table */
    bool extend_context;
    bool
        plan_only; /* a folder's model ends before its weights are read: `packed` stays empty, and whether the
                       weights fit is not asked */
    void (*progress)(void *context, const char *stage, double share); /* may be NULL */
    void *progress_context;
    struct tokenizer *
        *tokenizer; /* opened too, before the weights are read; the caller closes it. May be NULL */
    struct error
        *no_tokenizer;  /* where there is none that is read: why, and *tokenizer is NULL; else code OK.
                                   NULL: it is needed */
    const char *option; /* that named the model, for errors; NULL: "model" */
};

/* Whether the model is a converted file: a regular file, whatever is in it. */
bool loaded_model_path_is_file(const char *model);

/* STATUS_OPTION for "model" where there is nothing, or nothing that we may read: another start would not help.
 * loaded_model_init asks too. */
enum status loaded_model_path_check(const char *model, struct error *e);

/* The same for a file that is no converted one: of which format it may be, and what to name in its place. */
enum status loaded_model_file_check(const char *model, struct error *e);

/* What reading a model, or an adapter, came to: whatever is wrong with it but want of memory is a mistake of who named
 * it. Turns such an error into STATUS_OPTION of that option, with the place in front of its text unless that is the path
 * itself. Returns the status. */
enum status loaded_model_blame(enum status status, const char *option, const char *path, struct error *e);

/* On failure *m holds nothing, and the error is that of an option (loaded_model_blame) unless memory is wanting. The
 * caller ends with loaded_model_deinit. Refuses before packing when the weights would not fit into the memory that is
 * left. */
enum status loaded_model_init(struct loaded_model *m, const struct loaded_model_options *options,
                              struct workers *workers, struct error *e);
void loaded_model_deinit(struct loaded_model *m);

bool loaded_model_is_file(const struct loaded_model *m);

/* Bytes of weights that are mapped from a file. They are not counted as used memory, but need room in it. */
size_t loaded_model_mapped_bytes(const struct loaded_model *m);
