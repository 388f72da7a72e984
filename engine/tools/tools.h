/* What the commands verify, convert and bench need of the engine beyond engine.h. It shows no tensors
 * either. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/workers.h"
#include "engine/tools/threads_model.h"
#include "engine/types/calibration.h"
#include "engine/types/choices.h"

/* ---- bench --------------------------------------------------------------------------------------------- */

/* Shapes of published models that random weights can stand in for, and those of the paper's table (GPT-3
 * Small ... XL). */
const char *const *bench_shapes(void);             /* names, NULL-terminated */
const char *bench_shape_config(const char *shape); /* its config.json; NULL when there is no such shape */

/* Writes a checkpoint of that shape with random weights (seeded, the same each time) into an existing folder;
 * a tokenizer is not among it. STATUS_NOT_FOUND for an unknown shape, with the known ones. */
enum status bench_write_random(const char *shape, const char *folder, struct error *e);

/* The same for the text of any config.json of a plain block (one norm in front of each sub-layer, no head norms, nothing
 * fused but q, k and v). The file is F32, or BF16 where the config says "bfloat16": half the disk. */
enum status bench_write_config(const char *config, const char *folder, struct error *e);

/* Weights of a shape's matrices that every step reads, the head among them. */
enum status bench_shape_weights(const char *shape, size_t *weights, struct error *e);

/* What the machine can do, measured now with the threads and the instructions that the model will use. */
struct bench_bounds {
    size_t threads;
    double read_bytes_per_s; /* streaming read of memory */
    double near_bytes_per_s; /* the same from each core's second-level cache */
    /* By the instructions that multiply weights of the type, on registers. */
    double flop_per_s[WEIGHT_TYPE_COUNT];
    size_t cache_bytes; /* last-level cache, as the processor tells (of a whole socket); 0: unknown */
};
enum status bench_measure_bounds(size_t threads, enum kernel_isa isa, struct bench_bounds *out,
                                 struct error *e);

/* Seconds below which so many bytes of memory cannot be read, and so many operations on weights of each type not be
 * computed, whichever is longer. */
double bench_bound_seconds(const struct bench_bounds *bounds, double bytes,
                           const double flops[WEIGHT_TYPE_COUNT]);

struct bench_options {
    const char *model; /* folder, or a converted file */
    const char *lora;  /* as in engine_options; so in the other commands */
    bool ignore_adapter;
    enum norm_form norm_form; /* NONE: the norms of crmsnorm left out, only to see what they cost */
    enum weight_type weights;
    enum head_weights head; /* as in engine_options; so in the other commands */
    enum matmul_kind matmul;
    enum kernel_isa isa;
    enum kv_type kv_type;
    bool any_form, any_weights; /* a converted file may have others */
    bool allow_unknown_config_keys;
    size_t threads;
    enum pin_threads pin_threads;
};

enum bench_work { BENCH_PREFILL, BENCH_DECODE };

struct bench_item {
    enum bench_work work;
    size_t tokens;  /* PREFILL: of the prompt; DECODE: decoded per sequence */
    size_t batch;   /* sequences side by side; 0: 1 */
    size_t context; /* DECODE: positions before the first decoded one */
    bool shared;    /* DECODE: these are the same for all sequences, in the same pages */
};

/* Rows of a step, and so the longest prompt. */
#define BENCH_ROWS_MAX 512

/* The two bounds of an item in seconds, from what it reads and computes. */
struct bench_cost {
    double bytes; /* packed weights, cache and embedding rows that one run of the item reads */
    double flops[WEIGHT_TYPE_COUNT]; /* 2 x parameters used x rows, by the type of the weights */
};

struct bench_model;

/* Loads and packs the model as serving would; seconds: how long that took. */
enum status bench_open(const struct bench_options *options, struct bench_model **out, double *seconds,
                       struct error *e);
void bench_close(struct bench_model *m);

/* The item once: seconds, and what it costs. Caches hold random numbers, so contexts need no prefill. */
enum status bench_run(struct bench_model *m, const struct bench_item *item, double *seconds,
                      struct bench_cost *cost, struct error *e);

/* What the simulation of many threads takes from this machine: the price of a cache line, measured between two threads,
 * and beside it what a run of the pool takes on two threads when there is nothing to do. STATUS_LIMIT with one core. */
enum status bench_measure_threads(struct threads_costs *costs, double *barrier, struct error *e);

/* The item on so many threads, simulated: its runs are split as for these, timed one after another on this thread, and
 * laid side by side. */
struct bench_threads_part {
    size_t runs; /* of tiles, that end with a barrier */
    /* Seconds that one thread works alone whatever their number: between runs, and in those of one tile. */
    double serial;
    double alone;   /* seconds on one thread, */
    double seconds; /* on so many, */
    double ideal;   /* and on so many if cache lines cost nothing */
};
/* A step, and what it is made of. */
#define BENCH_STAGES 8
struct bench_threads {
    struct bench_threads_part all, stage[BENCH_STAGES];
};
extern const char *const bench_stage_names[BENCH_STAGES];
enum status bench_simulate_threads(struct bench_model *m, const struct bench_item *item,
                                   const struct threads_costs *costs, size_t threads,
                                   struct bench_threads *out, struct error *e);

/* Sequences side by side as the scheduler runs them: forward pass, sampling and events. */
struct bench_generation {
    size_t batch, prompt, tokens; /* the last two: of each sequence */
    double temperature, top_p;    /* temperature 0: greedy */
};

/* seconds: of the steps that generate, without the prefill. STATUS_LIMIT: more than the model's context, or
 * than the bench supports. STATUS_MALFORMED: the model computes values that are not finite. */
enum status bench_generate(struct bench_model *m, const struct bench_generation *g, double *seconds,
                           struct error *e);

/* Turns the norms of a folded form on or off. Without them the results are wrong; it is for measuring what
 * they cost. */
void bench_run_norms(struct bench_model *m, bool run);

const char *bench_isa(const struct bench_model *m);
const char *bench_kv_type(const struct bench_model *m);
/* The form and type that run; a converted file has its own. "none" while the norms are turned off. */
const char *bench_norm_form(const struct bench_model *m);
const char *bench_weights(const struct bench_model *m);
size_t bench_weight_bytes(const struct bench_model *m);

/* Single kernels, of every instruction set that runs here or of one, in one thread. */
struct bench_kernels;

/* Borrowed names. bytes: that must come from memory, 0 for operations on what is in a cache; flops as in
 * struct bench_cost; those of attention are of f32. */
struct bench_kernel {
    enum kernel_isa set;
    const char *isa, *operation, *type;
    size_t rows;
    double bytes, flops[WEIGHT_TYPE_COUNT];
};

/* isa: AUTO for all, else one. */
enum status bench_kernels_open(enum kernel_isa isa, struct bench_kernels **out, struct error *e);
void bench_kernels_close(struct bench_kernels *b);

/* Kernels are numbered by operation, then by instruction set: count is a multiple of isas. */
size_t bench_kernels_isas(const struct bench_kernels *b);
size_t bench_kernels_count(const struct bench_kernels *b);
void bench_kernels_at(const struct bench_kernels *b, size_t index, struct bench_kernel *out);

/* Seconds of one call, the mean over some milliseconds. */
enum status bench_kernels_run(struct bench_kernels *b, size_t index, double *seconds, struct error *e);

/* ---- convert ------------------------------------------------------------------------------------------- */

struct convert_options {
    const char *model; /* folder of the checkpoint */
    const char *lora;
    bool ignore_adapter;
    bool allow_unknown_config_keys;
    const char *out; /* file to write; a converted file of that name is replaced, any other refused */
    enum norm_form norm_form; /* not NONE */
    bool any_form;            /* it is the default, not asked for by name */
    enum weight_type weights;
    enum head_weights head;
    /* A text that int8 or int4 weights are calibrated with; NULL: none. Of the text calibrate_tokens at most are used, in
     * windows spread over it. The hash is written down as it is given. */
    const char *calibrate_text;
    size_t calibrate_length, calibrate_tokens;
    char calibrate_sha256[CALIBRATION_HASH_BYTES];
    size_t threads;
    void (*progress)(void *context, const char *stage, double share); /* as in engine_options; may be NULL */
    void *progress_context;
};

struct convert_result {
    enum norm_form norm_form; /* the one asked for, or the nearest that the model has */
    bool has_tokenizer;       /* else the file serves prompts of ids alone */
    struct calibration_identity calibration;
    size_t bytes;
};

/* Loads the model as serving would, and writes it in one file (docs/model-file.md) that `model` may
 * name from then on. The name appears when the file is complete (engine/modelfile/file_writer.h); nothing is
 * left of it on failure. */
enum status convert_model(const struct convert_options *options, struct convert_result *result,
                          struct error *e);

/* ---- check --------------------------------------------------------------------------------------------- */

struct engine_options; /* engine/api/engine.h */

/* A model as it would be loaded. */
struct check_result {
    char family[64];
    enum norm_form norm_form;
    enum weight_type weights;
    enum kv_type kv_type;
    size_t layers, width, vocabulary, context, own_context;
    uint64_t parameters;
    size_t weight_bytes[WEIGHT_TYPE_COUNT]; /* packed, of each type; of a converted file only its own */
    bool is_file;                           /* its weights are mapped, not packed */
    size_t context_bytes;                   /* of the cache, for one sequence of the whole context */
    size_t reserved_bytes;                  /* what the caller needs beside the engine */
    size_t available_bytes;                 /* memory that is left; 0: not known */
    struct error no_room; /* why all that, and the cache that is asked for, do not fit; code OK: they do */
    bool has_tokenizer, has_chat_template;
    char no_tokenizer[512], no_chat_template[512]; /* why not */
    char chat_template[256];                       /* where it is from */
};

/* Reads configuration, tokenizer, chat template and the headers of the weights, with all the checks of loading; no weights. Errors
 * are those of loading. */
enum status check_model(const struct engine_options *options, struct check_result *result, struct error *e);

/* ---- verify -------------------------------------------------------------------------------------------- */

/* Tokens that see each other in a comparison, where nobody says otherwise. */
#define VERIFY_WINDOW_MAX 512

struct verify_options {
    const char *model; /* folder of the checkpoint: a converted file has no untouched model to compare with */
    const char *converted; /* a file that convert_model wrote of it, which is compared too; NULL: none */
    const char *lora;      /* the untouched model is the merged one */
    bool ignore_adapter;
    enum kernel_isa isa;
    bool allow_unknown_config_keys;
    enum kv_type kv_type; /* AUTO: as serving would take for each type of weights */
    bool has_weights;     /* one type is asked about, else all */
    enum weight_type weights;
    enum head_weights head; /* of int4 weights */
    size_t threads;
    const char *text; /* NULL: a short text of our own */
    size_t text_length;
    size_t tokens_max; /* of the text that are used */
    size_t window;     /* tokens that see each other; 0: the context, at most VERIFY_WINDOW_MAX */
    /* Largest |difference| of an f32 form, in deviations of the logits, and largest rise of the perplexity of
     * the other types, as a share; 0: the default. */
    double bound_f32, rise_bf16, rise_int8, rise_int4;
};

/* One form that was compared with the untouched model in double precision. */
struct verify_row {
    const char *form;    /* "layernorm", ... */
    const char *weights; /* "f32", ...; "double": the conversion alone */
    bool has_head4;      /* int4 weights with the head in int4 too */
    const char *cache;   /* type of the keys and values; "double" too */
    bool is_reference;   /* the untouched model itself: only its perplexity says something */
    bool is_converted;   /* the file of verify_options.converted */
    struct calibration_identity calibration; /* of its weights */
    double largest, mean, kl, agreement, perplexity;
    double rise, rise_error; /* of the perplexity, as shares of the reference's */
    bool bounds_rise;        /* what the bound is of: the rise, else the largest difference */
    double bound;            /* 0 for the reference */
    /* Where the bound is of the rise: what is taken off it first (three standard errors), and what the
     * divergence may be besides, in nats a token. Else 0. */
    double allowance, kl_bound;
    bool passed;
};

typedef void (*verify_row_fn)(void *context, const struct verify_row *row);

/* Calls each for every form that the model can be served in and every weight type that is asked about, and for the
 * converted file, as its figures come in. Each is judged by the bound of its own type; STATUS_MISMATCH, with their names, when some are above it.
 * *tokens: how many were compared. */
enum status verify_model(const struct verify_options *options, verify_row_fn each, void *context,
                         size_t *tokens, struct error *e);
