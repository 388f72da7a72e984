/* The door between serving and the engine: the only engine header that server/ may use (the commands verify,
 * convert and bench also use tools.h). Tokens and texts go in, events come out; no tensors here.
 *
 * Threads. engine_open runs for long: call it on a thread of its own. After it, any thread may encode,
 * decode, read info and stats, submit and cancel. Events are taken by one thread (the loop). The scheduler
 * thread is inside.
 *
 * Life of a request. A ticket takes places in the queue, is prepared, and is submitted, which returns one
 * handle a prompt (engine_submit does all three). The scheduler then produces events in a bounded event ring per
 * request and calls `wake` (at most once until the event rings have been drained). The loop asks
 * engine_next_ready until it returns NULL, and takes events from each request while it has room for them; an
 * event ring that stays full pauses its sequence, nothing else. Each choice ends with exactly one FINISHED
 * event. engine_request_release gives the handle back at any time: whatever still runs for it is cancelled
 * before the next step. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/workers.h"
#include "engine/types/adapter.h"
#include "engine/types/calibration.h"
#include "engine/types/choices.h"
#include "engine/types/generation.h"
#include "engine/types/grammar.h"
#include "engine/types/limits.h"
#include "engine/types/request.h"
#include "engine/types/stats.h"
#include "engine/types/text_range.h"

struct engine;
struct engine_request;

/* For main, once, before any thread starts: how this process reacts when a file of the model is cut short
 * while it is being read (one line and exit code 1 instead of SIGBUS), that a JSON library without memory
 * says so, which kernels OpenBLAS would run, and that freed memory goes back to the system. */
void engine_process_init(void);

/* ---- opening ------------------------------------------------------------------------------------------- */

/* Memory that the caller will need beside the engine: the cache leaves it alone, and the plan that is logged
 * at start has a line for it. */
struct engine_reserve {
    const char *name; /* static */
    size_t bytes;
};
#define ENGINE_RESERVES_MAX 8

struct engine_options {
    const char *model;         /* folder of the checkpoint, or a converted file */
    const char *lora;          /* folder of an adapter to merge; NULL: none */
    bool ignore_adapter;       /* one in the model's folder is left alone, instead of refused */
    const char *chat_template; /* file of a chat template in place of the model's own; NULL: that */
    bool chat_control_tokens;  /* control tokens are found in what clients write in chats, too */
    enum norm_form norm_form;  /* not NONE */
    enum weight_type weights;
    enum head_weights head;         /* beside int4 weights; a converted file has to have it, but for AUTO */
    bool any_form, any_weights;     /* a converted file may have others than these two */
    bool allow_unknown_config_keys; /* keys of config.json that the family does not know are passed over */
    enum kv_type kv_type;
    enum matmul_kind matmul;
    enum kernel_isa isa;
    enum speculate_mode speculate; /* where drafts come from */
    double draft_row_cost;        /* for tests: of each further row, in steps of one row; 0: it is measured */
    size_t threads;               /* compute threads; 0: one a usable core */
    enum pin_threads pin_threads; /* what these are bound to */
    size_t context;               /* tokens a sequence may have; 0: the model's own */
    bool extend_context;          /* it may be more than that, where positions are not a learned table */
    size_t kv_cache_mib;          /* 0: from the memory that is left */
    size_t kv_page_tokens;        /* positions in a cache page, a multiple of 16 */
    bool prefix_cache;            /* prompts find what others with the same beginning have computed */
    size_t sequences_max;         /* that run at once */
    size_t queue_max;             /* choices that wait */
    size_t queue_tokens_max;      /* prompt tokens that wait; 0: no limit of its own */
    size_t suspended_max;      /* sequences beside those, set aside for slow readers or want of pages, before
                                   new ones have to wait */
    bool fair_share;           /* clients of the same priority take turns, a sequence each */
    size_t step_tokens;        /* rows of one step */
    size_t max_pending_events; /* undelivered events a choice may have before it is backpressured */
    size_t structured_outputs_mib; /* of grammars that answers must match, all together; 0: there are none */
    size_t logprobs_max;           /* largest `logprobs` of a request */
    struct engine_reserve reserves[ENGINE_RESERVES_MAX];
    size_t reserve_count;
    bool verify;         /* compare with the untouched model before serving, and refuse above the bound */
    double verify_bound; /* f32: of a logit, in standard deviations of the logits; else of the perplexity's
                            rise */
    void (*wake)(void *context); /* from the scheduler thread: events are ready. Must not block. */
    void *wake_context;
    /* From the opening thread: share in 0..1 of the stage ("reading", "converting", ...). May be NULL. */
    void (*progress)(void *context, const char *stage, double share);
    void *progress_context;
};

/* What can be said about options without reading the model: whether they go together, whether this machine has
 * the instruction set, and whether the model's path may lead to one. STATUS_OPTION. engine_open asks too. */
enum status engine_options_check(const struct engine_options *options, struct error *e);
enum status engine_isa_check(enum kernel_isa isa, struct error *e);

/* Loads, converts and starts the scheduler. *out is NULL on failure. STATUS_OPTION: an option that this model,
 * or this machine, cannot be run with (engine/base/error.h), or a model that cannot be read or is none. STATUS_LIMIT: the cache does not fit into the
 * memory that is left beside the rest of the plan, which is then in the log. */
enum status engine_open(const struct engine_options *options, struct engine **out, struct error *e);

/* Cancels what runs, stops the scheduler, frees everything. All handles must have been released. */
void engine_close(struct engine *engine);

/* ---- what it is ---------------------------------------------------------------------------------------- */

/* Of the check at start-up; tokens 0: none was made. Differences are parts of the logits' standard
 * deviation. */
struct engine_verify_figures {
    size_t tokens;
    double largest, mean, kl, agreement, bound;
};

struct engine_info {
    char family[64], norm_placement[32], cpu_features[256];
    char unknown_config_keys[CONFIG_UNKNOWN_BYTES_MAX]; /* that were passed over; "": none */
    /* What runs: no AUTO, no NONE. */
    enum norm_form norm_form;
    enum weight_type weights, head; /* of the linears, and of the head */
    bool rotated;                   /* other coordinates, for integer weights (docs/equivalence.md) */
    enum kv_type kv_type;
    enum matmul_kind matmul;
    enum kernel_isa isa;
    enum speculate_mode speculate;
    size_t context, vocabulary, layers, width, heads, threads;
    size_t embedding_width; /* of a hidden state: width, unless a projection stands in front of the head */
    size_t own_context; /* that the model was made for; context may be less, or with extend_context more */
    uint64_t parameters;
    size_t weight_bytes, kv_bytes, kv_pages, kv_page_tokens;
    size_t sequences_max, queue_max, step_tokens, logprobs_max;
    int32_t bos, pad; /* -1: none */
    int32_t start; /* what an empty prompt starts from: bos, else the first end token; -1: neither is there */
    int32_t end_tokens[END_TOKENS_MAX];
    size_t end_count;
    struct generation_defaults generation; /* what the model's files say; nothing applies it by itself */
    double load_seconds;
    struct engine_verify_figures verify;
    struct adapter_identity adapter;         /* that was merged; name "": none */
    struct calibration_identity calibration; /* of the weights; tokens 0: none */
};
void engine_info(const struct engine *engine, struct engine_info *out);

/* ---- text ---------------------------------------------------------------------------------------------- */

/* NULL where the model has a tokenizer. Else why it has none that is read (borrowed until engine_close): then prompts
 * are ids, engine_encode and engine_decode answer STATUS_UNSUPPORTED with that reason, every text is empty, and
 * requests must have no stop strings. */
const char *engine_no_tokenizer(const struct engine *engine);

/* Ids of a text; *ids is malloc'ed, the caller frees. special: with what the tokenizer adds (BOS). Long texts
 * take long: not on the loop. More than tokens_max ids (0: no limit) is STATUS_LIMIT with e->where "tokens";
 * so is, before any of it is looked at, a text of more bytes than engine_text_bytes_max says of so many.
 * Other limits of the tokenizer have other places. */
enum status engine_encode(const struct engine *engine, const char *text, size_t length, bool special,
                          size_t tokens_max, int32_t **ids, size_t *count, struct error *e);

/* Bytes that no text of so many tokens has more of, even if each were the longest that the tokenizer has;
 * SIZE_MAX: there is no such bound. */
size_t engine_text_bytes_max(const struct engine *engine, size_t tokens);

/* Memory that engine_encode takes for a text of so many bytes, at most. */
size_t engine_encode_bytes(size_t length);

/* Text of ids; *text is malloc'ed, NUL-terminated. *certain (may be NULL): the bytes at its front that are no
 * U+FFFD for a character that is not whole yet. What a request with these ids generates begins there, with
 * that character. */
enum status engine_decode(const struct engine *engine, const int32_t *ids, size_t count, bool skip_special,
                          char **text, size_t *length, size_t *certain, struct error *e);

/* The text of one token alone as `logprobs` shows it: valid UTF-8, NUL-terminated, borrowed until engine_close;
 * bytes that are not text by themselves are written "bytes:\xe2\x80"; "" for an id without a token. Costs
 * nothing: the texts of all are made when the model is loaded. */
const char *engine_token_text(const struct engine *engine, int32_t id, size_t *length);

/* Whether it is a special token, which a text is without where those are skipped. */
bool engine_token_is_special(const struct engine *engine, int32_t id);

/* What engine_sampling.bans says for none of these words to come. The caller frees with engine_bans_destroy; nothing is
 * left after an error. STATUS_INVALID_ARGUMENT: there is a word without a token, or of blanks alone, and e->text begins
 * with "has"; no tokenizer. Words may be long: not on the loop. */
enum status engine_bans_create(const struct engine *engine, const struct engine_string *words,
                               size_t word_count, struct engine_ban **bans, size_t *count, struct error *e);
void engine_bans_destroy(struct engine_ban *bans, size_t count); /* NULL is nothing */

/* ---- chat ---------------------------------------------------------------------------------------------- */

/* NULL where the model has a chat template that we run. Else why not (borrowed until engine_close): then
 * engine_apply_chat_template answers STATUS_UNSUPPORTED with that reason. */
const char *engine_no_chat_template(const struct engine *engine);

/* What a client asks for. Borrowed, and only read. */
struct engine_chat {
    const json_t *messages; /* array of objects, as the client wrote them */
    const json_t *kwargs;   /* object: chat_template_kwargs, further variables of the template; NULL: none */
    size_t json_bytes;      /* of the text that both were read from: it bounds the memory; 0: not known */
    bool add_generation_prompt;
    bool continue_final_message; /* the text ends within the last message, not behind it */
};

/* A text, and what of it a client wrote. */
struct engine_chat_text {
    char *text; /* malloc'ed, NUL-terminated; may hold NULs */
    size_t length;
    struct text_range *client; /* malloc'ed; NULL: nothing */
    size_t client_count;
};
void engine_chat_text_deinit(struct engine_chat_text *t);

/* The text of a chat by the model's template, as apply_chat_template of the transformers library writes it. Any
 * thread; not on the loop. *out is the caller's (engine_chat_text_deinit); after an error it holds nothing.
 * STATUS_INVALID_ARGUMENT: this chat cannot be written so (say 400): e->where is the field ("messages",
 * "chat_template_kwargs", "continue_final_message"), or "raise_exception" where e->text is the template's own message,
 * or the line of the template. STATUS_LIMIT: it takes too much (400 as well); STATUS_UNSUPPORTED: no template. */
enum status engine_apply_chat_template(const struct engine *engine, const struct engine_chat *chat,
                                       struct engine_chat_text *out, struct error *e);

/* Memory that engine_apply_chat_template takes for a chat of so many json_bytes, at most, its result included. */
size_t engine_chat_bytes(size_t json_bytes);

/* Ids of such a text, without what a tokenizer adds to a text by itself; the rest is as with engine_encode. No control
 * token (an added token, but for blanks and plain words) is found where any byte of it is the client's, unless
 * chat_control_tokens says so. Apart from that the ids are those of the whole text. */
enum status engine_encode_chat(const struct engine *engine, const struct engine_chat_text *text,
                               size_t tokens_max, int32_t **ids, size_t *count, struct error *e);

/* ---- filling in ---------------------------------------------------------------------------------------- */

/* The tokens that end what was filled in, borrowed until engine_close; *count is 0 where the model's tokenizer has no
 * tokens for filling in. */
const int32_t *engine_infill_ends(const struct engine *engine, size_t *count);

/* Another file, which stands before a gap. */
struct engine_gap_file {
    struct engine_string name, text;
};

/* Two texts, and a gap between them. */
struct engine_gap {
    const char *prefix, *suffix;
    size_t prefix_length, suffix_length;
    bool special;      /* begin with what the tokenizer puts before a text (BOS) */
    bool suffix_first; /* the prompt ends with the prefix */
    const struct engine_gap_file *files;
    size_t file_count;
};

/* Ids of a prompt that is answered by what stands in the gap. Control tokens within the texts are text. Limits,
 * ownership and errors are those of engine_encode; STATUS_UNSUPPORTED: there are no tokens for it, or for files
 * (where: "input_extra"), or models of its kind know no other order ("suffix_first"). */
enum status engine_encode_infill(const struct engine *engine, const struct engine_gap *gap, size_t tokens_max,
                                 int32_t **ids, size_t *count, struct error *e);

/* ---- structured output --------------------------------------------------------------------------------- */

/* What a text must match, compiled, for engine_prompt.grammar; the caller's until engine_grammar_release, at the latest
 * before engine_close. Long, and may wait for another thread that compiles the same: not on the loop.
 * STATUS_INVALID_ARGUMENT: it is not understood, what and where (say 400); STATUS_LIMIT: it takes too much (400);
 * STATUS_BUSY: too many different ones are in use (429); STATUS_UNSUPPORTED: there are none here, and why. */
enum status engine_grammar_get(struct engine *engine, const struct grammar_source *source,
                               struct grammar **out, struct error *e);
void engine_grammar_release(struct grammar *grammar); /* NULL is nothing */

/* ---- requests ------------------------------------------------------------------------------------------ */

/* Whether a request of one choice would find a place in the queue now: a cheap question before a body is read
 * at all. STATUS_OK, STATUS_LIMIT (say 429), STATUS_CLOSING. */
enum status engine_has_room(struct engine *engine, struct error *e);

/* The way of a request into the queue. Places are taken before anything is made for them: a request for which
 * there are none costs nothing, and one that has been made is not refused any more. A ticket counts against
 * the queue from its creation on. Any thread, but one at a time for a ticket. */
struct engine_ticket;

/* Takes places for so many choices, of all prompts together. Constant time. STATUS_LIMIT: the queue is full
 * (say 429); STATUS_CLOSING: draining; STATUS_INVALID_ARGUMENT: they never fit. */
enum status engine_ticket_create(struct engine *engine, size_t choices, struct engine_ticket **out,
                                 struct error *e);

/* Checks all prompts, whose choices are those of the ticket, and makes everything that they need: long. Stop
 * strings and other lists that lie at the same place for several prompts are kept once. STATUS_LIMIT: their
 * tokens do not fit in the queue, and nothing was made; STATUS_INVALID_ARGUMENT: a prompt that can never run,
 * e->where names the field ("context" when it leaves no room for a token, with both counts in e->text). After
 * a failure only destroy. */
enum status engine_ticket_prepare(struct engine_ticket *ticket, const struct engine_prompt *prompts,
                                  size_t count, struct error *e);

/* Admits all prompts; *requests gets one handle a prompt, and the ticket is gone. Constant time a prompt. The
 * only failure is STATUS_CLOSING: draining; then the ticket is still there. */
enum status engine_ticket_submit(struct engine_ticket *ticket, struct engine_request **requests,
                                 struct error *e);

/* Gives its places back and frees what was made: long. NULL is nothing. */
void engine_ticket_destroy(struct engine_ticket *ticket);

/* All of this at once, where it may take its time. Admits all prompts or none. */
enum status engine_submit(struct engine *engine, const struct engine_prompt *prompts, size_t count,
                          struct engine_request **requests, struct error *e);

/* Memory that these prompts take from engine_ticket_prepare (or engine_submit) until their handles are
 * released and their choices have ended, at most. */
size_t engine_prompts_bytes(const struct engine *engine, const struct engine_prompt *prompts, size_t count);

void *engine_request_user(const struct engine_request *request);

/* Ends all choices that have not finished: each still gets its FINISHED event (reason CANCELLED). */
void engine_request_cancel(struct engine_request *request);

/* Gives the handle back; cancels what still runs. No event of it is seen afterwards. */
void engine_request_release(struct engine_request *request);

/* ---- events -------------------------------------------------------------------------------------------- */

/* The next request with events, NULL when there is none: then `wake` will be called again. A request whose
 * events were not all taken is not offered again by itself: take the rest when there is room. */
struct engine_request *engine_next_ready(struct engine *engine);

/* Moves the oldest event of a request into *out; false when there is none for now. */
bool engine_request_next_event(struct engine_request *request, struct engine_event *out);

/* ---- load, drain, figures ------------------------------------------------------------------------------ */

/* From now on tickets and engine_submit answer STATUS_CLOSING; what was admitted goes on. */
void engine_drain(struct engine *engine);

/* Seconds after which a refused request may be admitted, from the current rate: 1..120. */
unsigned engine_retry_after(const struct engine *engine);

void engine_stats(const struct engine *engine, struct engine_stats *out);

/* Whether the engine gets on, for whoever watches it. Any thread; takes no lock, whatever hangs inside. */
void engine_pulse(const struct engine *engine, struct engine_pulse *out);
