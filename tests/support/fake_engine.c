#include "tests/support/fake_engine.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/clock.h"

enum { EVENT_RING_MAX = 65536, TOP_MAX = 32 };

struct fake_event {
    struct engine_event event;
    char text[8];
    struct engine_top top[TOP_MAX];
};

/* All that a choice will say is laid down when it is submitted; the thread only lets it out bit by bit. */
struct fake_choice {
    struct fake_event *events;
    size_t count, made, taken;
    bool finished;
};

struct engine_request {
    struct engine *engine;
    struct engine_request *next;
    struct fake_choice *choices;
    uint32_t choice_count, taken_from;
    size_t prompt_count;
    bool running, ready, ended;
    uint32_t timeout_ms;
    uint64_t deadline_ns;
    void *user;
};

struct engine {
    struct engine_options options;
    unsigned token_ms, load_ms, fail_at, late_at, tokens_max;
    bool fail_load, no_start, holds;
    pthread_t thread;
    pthread_mutex_t lock; /* over all that follows */
    pthread_cond_t closed;
    struct engine_request *requests; /* in order of submission */
    size_t reserved;                 /* choices of tickets */
    bool let_all_go;                 /* texts that begin with "hold" wait no longer */
    pthread_cond_t let_go;
    bool closing, draining, awake;
    struct engine_stats stats;
};

static atomic_size_t requests_made, texts_encoded;

size_t fake_engine_requests_made(void) {
    return atomic_load(&requests_made);
}

size_t fake_engine_texts_encoded(void) {
    return atomic_load(&texts_encoded);
}

void engine_process_init(void) {}

/* ---- what is generated --------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x) {
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdull;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ull;
    return x ^ x >> 33;
}

static int32_t next_token(const int32_t *ids, size_t count, const struct engine_sampling *sampling,
                          uint32_t choice) {
    uint64_t hash = count;
    for (size_t i = count > 8 ? count - 8 : 0; i < count; i++) hash = mix(hash ^ (uint64_t)ids[i]);
    if (sampling->temperature > 0) hash = mix(hash ^ (uint64_t)sampling->seed * 31 ^ choice);
    if (sampling->allowed_count) return sampling->allowed[hash % sampling->allowed_count];
    for (size_t i = 0; i < sampling->bias_count; i++)
        if (sampling->biases[i].bias >= 100) return sampling->biases[i].token;
    if (hash % 251 == 0) return FAKE_END;
    return hash % 6 == 0 ? ' ' : 'a' + (int32_t)(mix(hash) % 26);
}

static float logprob_of(int32_t id, size_t position) {
    return -0.125f * (float)(mix((uint64_t)id * 131 + position) % 64);
}

static void set_logprobs(struct fake_event *e, size_t position, int count) {
    e->event.has_logprob = count >= 0;
    e->event.logprob = logprob_of(e->event.id, position);
    e->event.rank = 1 + (uint32_t)e->event.id % 7;
    e->event.top = e->top;
    for (int i = 0; i < count && i < TOP_MAX; i++)
        e->top[e->event.top_count++] = (struct engine_top){'a' + i, -0.5f - (float)i};
}

static size_t stop_at(const struct engine_prompt *p, const char *text, size_t length, int *which) {
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < p->stop_count; i++) {
        const char *found = memmem(text, length, p->stops[i].text, p->stops[i].length);
        if (!found || (size_t)(found - text) >= best) continue;
        best = (size_t)(found - text);
        *which = (int)i;
    }
    return best;
}

static bool ends(const struct engine_prompt *p, int32_t id, uint32_t made) {
    if (made < p->min_tokens) return false;
    for (size_t i = 0; i < p->stop_token_count; i++)
        if (p->stop_tokens[i] == id) return true;
    return id == FAKE_END && !p->ignore_end;
}

/* Fills the events of one choice; returns their number. ids has room for what is generated. */
static size_t lay_down(const struct engine *engine, const struct engine_prompt *p, uint32_t choice,
                       const struct engine_sampling *sampling, int32_t *ids, struct fake_event *events) {
    size_t count = p->count, n = 0, length = 0, given = 0;
    uint32_t room = (uint32_t)(FAKE_CONTEXT - p->count), most = p->max_tokens < room ? p->max_tokens : room;
    if (engine->tokens_max && most > engine->tokens_max) most = engine->tokens_max;
    char *text = calloc(most + 1, 1);
    struct engine_event end = {.kind = ENGINE_EVENT_FINISHED,
                               .choice = choice,
                               .finish = ENGINE_FINISH_LENGTH,
                               .stop_string = -1,
                               .stop_token = -1,
                               .seed = sampling->seed,
                               .text = "",
                               .prompt_tokens = (uint32_t)p->count};
    assert(text);
    for (size_t i = 0; p->prompt_logprobs && choice == 0 && i < p->count; i++, n++) {
        events[n].event = (struct engine_event){.kind = ENGINE_EVENT_PROMPT, .id = p->ids[i], .text = ""};
        if (i) set_logprobs(&events[n], i, p->logprobs);
    }
    for (uint32_t made = 1; made <= most && end.finish == ENGINE_FINISH_LENGTH; made++, n++) {
        int32_t id = next_token(ids, count, sampling, choice);
        if (id == FAKE_END && p->ignore_end) id = ' ';
        struct fake_event *e = &events[n];
        e->event = (struct engine_event){.kind = ENGINE_EVENT_TOKEN, .choice = choice, .id = id};
        set_logprobs(e, count, p->logprobs);
        ids[count++] = id;
        if (id < 256 && !ends(p, id, made)) text[length++] = (char)id;
        if (ends(p, id, made)) {
            end.finish = ENGINE_FINISH_STOP;
            end.stop_token = id;
        }
        /* With stop strings the text is held back by one token. */
        size_t stop = stop_at(p, text, length, &end.stop_string),
               out = p->stop_count && length ? length - 1 : length;
        if (stop != SIZE_MAX) {
            end.finish = ENGINE_FINISH_STOP;
            out = p->include_stop_text ? stop + p->stops[end.stop_string].length : stop;
            length = out > given ? out : given;
        }
        if (out > given) e->event.text_length = out - given < sizeof e->text ? out - given : sizeof e->text;
        memcpy(e->text, text + given, e->event.text_length);
        given += e->event.text_length;
        end.completion_tokens = made;
        if (made == engine->fail_at) {
            end.finish = ENGINE_FINISH_FAILED;
            static const struct error failure = {STATUS_MALFORMED, "fake", "it was told to fail here"};
            end.error = &failure;
        }
    }
    events[n].event = end;
    if (end.finish != ENGINE_FINISH_FAILED && length > given) {
        events[n].event.text_length =
            length - given < sizeof events[n].text ? length - given : sizeof events[n].text;
        memcpy(events[n].text, text + given, events[n].event.text_length);
    }
    free(text);
    return n + 1;
}

/* ---- the thread ---------------------------------------------------------------------------------------- */

static void tell(struct engine *engine, struct engine_request *r) {
    r->ready = true;
    if (engine->awake) return;
    engine->awake = true;
    engine->options.wake(engine->options.wake_context);
}

static void count_finished(struct engine_stats *stats, const struct engine_event *event) {
    uint64_t *counters[] = {[ENGINE_FINISH_STOP] = &stats->finished_stop,
                            [ENGINE_FINISH_LENGTH] = &stats->finished_length,
                            [ENGINE_FINISH_CANCELLED] = &stats->finished_cancelled,
                            [ENGINE_FINISH_TIMEOUT] = &stats->finished_timeout,
                            [ENGINE_FINISH_FAILED] = &stats->finished_failed};
    ++*counters[event->finish];
}

/* Lets out the next event of a choice, if its event ring has room. */
static bool advance(struct engine *engine, struct engine_request *r, struct fake_choice *c) {
    if (c->finished || c->made - c->taken >= engine->options.max_pending_events) return false;
    const struct engine_event *event = &c->events[c->made++].event;
    if (event->kind == ENGINE_EVENT_TOKEN) engine->stats.generated_tokens++;
    if (event->kind == ENGINE_EVENT_FINISHED) {
        c->finished = true;
        count_finished(&engine->stats, event);
    }
    tell(engine, r);
    return true;
}

static void finish_early(struct engine *engine, struct engine_request *r, enum engine_finish finish) {
    for (uint32_t i = 0; i < r->choice_count; i++) {
        struct fake_choice *c = &r->choices[i];
        uint32_t generated = 0;
        if (c->finished) continue;
        for (size_t j = 0; j < c->made; j++) generated += c->events[j].event.kind == ENGINE_EVENT_TOKEN;
        c->events[c->made].event = (struct engine_event){.kind = ENGINE_EVENT_FINISHED,
                                                         .choice = i,
                                                         .finish = finish,
                                                         .stop_string = -1,
                                                         .stop_token = -1,
                                                         .prompt_tokens = (uint32_t)r->prompt_count,
                                                         .completion_tokens = generated,
                                                         .text = ""};
        c->count = ++c->made;
        c->finished = true;
        count_finished(&engine->stats, &c->events[c->made - 1].event);
        tell(engine, r);
    }
}

static bool is_finished(const struct engine_request *r) {
    for (uint32_t i = 0; i < r->choice_count; i++)
        if (!r->choices[i].finished) return false;
    return true;
}

static size_t running_choices(const struct engine *engine) {
    size_t count = 0;
    for (const struct engine_request *r = engine->requests; r; r = r->next)
        if (r->running && !is_finished(r)) count += r->choice_count;
    return count;
}

/* With late-at the time limit of a request is over when each choice has said so much, whatever the clock
 * says. */
static bool is_late(const struct engine *engine, const struct engine_request *r) {
    if (!engine->late_at || !r->timeout_ms) return r->deadline_ns && clock_ns() >= r->deadline_ns;
    for (uint32_t i = 0; i < r->choice_count; i++)
        if (r->choices[i].made < engine->late_at) return false;
    return true;
}

static bool step(struct engine *engine) {
    bool worked = false;
    for (struct engine_request *r = engine->requests; r; r = r->next) {
        if (!r->running && (!running_choices(engine) ||
                            running_choices(engine) + r->choice_count <= engine->options.sequences_max)) {
            r->running = true;
            engine->stats.prompt_tokens += r->prompt_count;
        }
        if (!is_finished(r) && is_late(engine, r)) finish_early(engine, r, ENGINE_FINISH_TIMEOUT);
        for (uint32_t i = 0; r->running && i < r->choice_count; i++)
            worked |= advance(engine, r, &r->choices[i]);
    }
    engine->stats.steps += worked;
    return worked;
}

static void sleep_ms(unsigned ms) {
    struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/* Gives the lock away meanwhile; engine_close ends it early. */
static void wait_ms(struct engine *engine, unsigned ms) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + ms * 1000000ull;
    until.tv_sec += (time_t)(ns / 1000000000u);
    until.tv_nsec = (long)(ns % 1000000000u);
    while (!engine->closing && pthread_cond_timedwait(&engine->closed, &engine->lock, &until) == 0) continue;
}

static void *run(void *context) {
    struct engine *engine = context;
    pthread_mutex_lock(&engine->lock);
    while (!engine->closing) {
        bool worked = step(engine);
        wait_ms(engine, engine->token_ms ? engine->token_ms : worked ? 0 : 1);
    }
    pthread_mutex_unlock(&engine->lock);
    return NULL;
}

/* ---- open, close --------------------------------------------------------------------------------------- */

static unsigned setting(const char *list, const char *name) {
    const char *at = strstr(list, name);
    if (!at) return 0;
    at += strlen(name);
    return *at == '=' ? (unsigned)strtoul(at + 1, NULL, 10) : 1;
}

enum status engine_isa_check(enum kernel_isa isa, struct error *e) {
    (void)isa, (void)e;
    return STATUS_OK;
}

enum status engine_options_check(const struct engine_options *options, struct error *e) {
    return engine_isa_check(options->isa, e);
}

enum status engine_open(const struct engine_options *options, struct engine **out, struct error *e) {
    *out = NULL;
    for (unsigned i = 0, ms = setting(options->model, "load-ms"); ms && i <= 10; i++) {
        if (options->progress) options->progress(options->progress_context, "converting", i * 0.1);
        sleep_ms(ms / 10);
    }
    if (setting(options->model, "fail-load"))
        return error_set(e, STATUS_MALFORMED, "model.safetensors", "it was told to fail");
    struct engine *engine = calloc(1, sizeof *engine);
    assert(engine);
    engine->options = *options;
    engine->token_ms = setting(options->model, "token-ms");
    engine->fail_at = setting(options->model, "fail-at");
    engine->tokens_max = setting(options->model, "tokens-max");
    engine->late_at = setting(options->model, "late-at");
    engine->holds = setting(options->model, "holds");
    engine->no_start = setting(options->model, "no-start");
    pthread_mutex_init(&engine->lock, NULL);
    pthread_cond_init(&engine->closed, NULL);
    pthread_cond_init(&engine->let_go, NULL);
    pthread_create(&engine->thread, NULL, run, engine);
    *out = engine;
    return STATUS_OK;
}

void engine_close(struct engine *engine) {
    pthread_mutex_lock(&engine->lock);
    assert(!engine->requests && !engine->reserved);
    engine->closing = true;
    pthread_cond_signal(&engine->closed);
    pthread_mutex_unlock(&engine->lock);
    pthread_join(engine->thread, NULL);
    pthread_cond_destroy(&engine->closed);
    pthread_cond_destroy(&engine->let_go);
    pthread_mutex_destroy(&engine->lock);
    free(engine);
}

void engine_info(const struct engine *engine, struct engine_info *out) {
    *out = (struct engine_info){.family = "fake",
                                .norm_placement = "pre",
                                .norm_form = NORM_FORM_CRMSNORM,
                                .weights = WEIGHT_TYPE_F32,
                                .kv_type = KV_TYPE_F32,
                                .matmul = MATMUL_OWN,
                                .isa = KERNEL_ISA_scalar,
                                .cpu_features = "none",
                                .context = FAKE_CONTEXT,
                                .own_context = FAKE_CONTEXT,
                                .vocabulary = FAKE_VOCABULARY,
                                .threads = 1,
                                .kv_pages = 1024,
                                .kv_page_tokens = FAKE_PAGE_TOKENS,
                                .sequences_max = engine->options.sequences_max,
                                .queue_max = engine->options.queue_max,
                                .logprobs_max = engine->options.logprobs_max,
                                .bos = engine->no_start ? -1 : FAKE_END,
                                .pad = -1,
                                .end_tokens = {FAKE_END},
                                .end_count = engine->no_start ? 0 : 1};
}

/* ---- text ---------------------------------------------------------------------------------------------- */

/* "hold" and what follows waits until "let go" is encoded. */
static void wait_if_held(struct engine *engine, const char *text) {
    if (!engine->holds) return;
    pthread_mutex_lock(&engine->lock);
    if (strncmp(text, "let go", 6) == 0) {
        engine->let_all_go = true;
        pthread_cond_broadcast(&engine->let_go);
    }
    while (strncmp(text, "hold", 4) == 0 && !engine->let_all_go)
        pthread_cond_wait(&engine->let_go, &engine->lock);
    pthread_mutex_unlock(&engine->lock);
}

static const char *no_tokenizer;

enum status engine_encode(const struct engine *engine, const char *text, size_t length, bool special,
                          size_t tokens_max, int32_t **ids, size_t *count, struct error *e) {
    (void)special;
    if (no_tokenizer) return error_set(e, STATUS_UNSUPPORTED, "tokenizer", "no tokenizer (%s)", no_tokenizer);
    atomic_fetch_add(&texts_encoded, 1);
    wait_if_held((struct engine *)engine, text);
    if (tokens_max && length > tokens_max)
        return error_set(e, STATUS_LIMIT, "tokens", "the text has more than %zu tokens", tokens_max);
    *ids = malloc((length + 1) * sizeof **ids);
    for (size_t i = 0; i < length; i++) (*ids)[i] = (unsigned char)text[i];
    *count = length;
    return STATUS_OK;
}

/* At the end of a text, of a character that is not whole. */
static size_t unfinished_bytes(const char *text, size_t length) {
    for (size_t i = 1; i <= length && i < 4; i++) {
        unsigned char byte = (unsigned char)text[length - i];
        if ((byte & 0xc0) == 0x80) continue;
        size_t whole = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
        return whole > i ? i : 0;
    }
    return 0;
}

size_t engine_text_bytes_max(const struct engine *engine, size_t tokens) {
    (void)engine, (void)tokens;
    return SIZE_MAX;
}

size_t engine_encode_bytes(size_t length) {
    return length * sizeof(int32_t);
}

size_t engine_prompts_bytes(const struct engine *engine, const struct engine_prompt *prompts, size_t count) {
    size_t bytes = 0;
    (void)engine;
    for (size_t i = 0; i < count; i++) {
        const struct engine_prompt *p = &prompts[i];
        size_t room = FAKE_CONTEXT - p->count, made = p->max_tokens < room ? p->max_tokens : room;
        bytes += p->choices * (p->count + made) * sizeof(int32_t);
    }
    return bytes;
}

enum status engine_decode(const struct engine *engine, const int32_t *ids, size_t count, bool skip_special,
                          char **text, size_t *length, size_t *certain, struct error *e) {
    (void)engine, (void)skip_special;
    if (no_tokenizer) return error_set(e, STATUS_UNSUPPORTED, "tokenizer", "no tokenizer (%s)", no_tokenizer);
    *text = malloc(count + 1);
    *length = 0;
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 256) (*text)[(*length)++] = (char)ids[i];
    (*text)[*length] = '\0';
    if (certain) *certain = *length - unfinished_bytes(*text, *length);
    return STATUS_OK;
}

void fake_engine_set_no_tokenizer(const char *why) {
    no_tokenizer = why;
}

const char *engine_no_tokenizer(const struct engine *engine) {
    (void)engine;
    return no_tokenizer;
}

const char *engine_token_text(const struct engine *engine, int32_t id, size_t *length) {
    static _Thread_local char texts[64][16]; /* borrowed for long enough */
    static _Thread_local size_t next;
    char *out = texts[next++ % 64];
    (void)engine;
    *length = (size_t)(id < 128   ? snprintf(out, sizeof *texts, "%c", (char)id)
                       : id < 256 ? snprintf(out, sizeof *texts, "bytes:\\x%02x", (unsigned)id)
                                  : snprintf(out, sizeof *texts, "<%d>", (int)id));
    return out;
}

/* ---- requests ------------------------------------------------------------------------------------------ */

static struct engine_request *create_request(struct engine *engine, const struct engine_prompt *p) {
    struct engine_request *r = calloc(1, sizeof *r);
    size_t tokens = p->max_tokens < FAKE_CONTEXT ? p->max_tokens : FAKE_CONTEXT;
    int32_t *ids = malloc((p->count + tokens + 1) * sizeof *ids);
    struct engine_sampling sampling = p->sampling;
    assert(r && ids);
    if (!sampling.has_seed) sampling.seed = 12345;
    r->engine = engine;
    r->user = p->user;
    r->prompt_count = p->count;
    r->choice_count = p->choices;
    r->choices = calloc(p->choices, sizeof *r->choices);
    r->timeout_ms = p->timeout_ms;
    for (uint32_t i = 0; i < p->choices; i++) {
        memcpy(ids, p->ids, p->count * sizeof *ids);
        r->choices[i].events = calloc(p->count + tokens + 1, sizeof *r->choices[i].events);
        assert(r->choices[i].events);
        r->choices[i].count = lay_down(engine, p, i, &sampling, ids, r->choices[i].events);
    }
    free(ids);
    return r;
}

static size_t waiting_choices(const struct engine *engine) {
    size_t count = 0;
    for (const struct engine_request *r = engine->requests; r; r = r->next)
        if (!r->running && !is_finished(r)) count += r->choice_count;
    return count;
}

static enum status check_room(struct engine *engine, size_t choices, struct error *e) {
    if (engine->draining) return error_set(e, STATUS_CLOSING, "", "draining");
    if (waiting_choices(engine) + engine->reserved + choices <= engine->options.queue_max) return STATUS_OK;
    engine->stats.refused_queue++;
    return error_set(e, STATUS_LIMIT, "queue", "the queue is full");
}

enum status engine_has_room(struct engine *engine, struct error *e) {
    pthread_mutex_lock(&engine->lock);
    enum status status = check_room(engine, 1, e);
    pthread_mutex_unlock(&engine->lock);
    return status;
}

struct engine_ticket {
    struct engine *engine;
    size_t choices;
    struct engine_request **requests;
    size_t count;
};

enum status engine_ticket_create(struct engine *engine, size_t choices, struct engine_ticket **out,
                                 struct error *e) {
    *out = NULL;
    pthread_mutex_lock(&engine->lock);
    enum status status = check_room(engine, choices, e);
    if (status == STATUS_OK) engine->reserved += choices;
    pthread_mutex_unlock(&engine->lock);
    if (status != STATUS_OK) return status;
    struct engine_ticket *ticket = calloc(1, sizeof *ticket);
    assert(ticket);
    *ticket = (struct engine_ticket){.engine = engine, .choices = choices};
    *out = ticket;
    return STATUS_OK;
}

static enum status check_prompt(const struct engine_prompt *p, struct error *e) {
    if (p->count >= FAKE_CONTEXT)
        return error_set(e, STATUS_INVALID_ARGUMENT, "context",
                         "the context is %d tokens, the prompt has %zu", FAKE_CONTEXT, p->count);
    for (size_t i = 0; i < p->count; i++)
        if (p->ids[i] == FAKE_BEYOND)
            return error_set(e, STATUS_INVALID_ARGUMENT, "prompt", "token id %d is not in the model",
                             p->ids[i]);
    return STATUS_OK;
}

enum status engine_ticket_prepare(struct engine_ticket *ticket, const struct engine_prompt *prompts,
                                  size_t count, struct error *e) {
    size_t choices = 0;
    for (size_t i = 0; i < count; i++) {
        if (check_prompt(&prompts[i], e) != STATUS_OK) return STATUS_INVALID_ARGUMENT;
        choices += prompts[i].choices;
    }
    assert(choices == ticket->choices);
    ticket->requests = calloc(count, sizeof *ticket->requests);
    assert(ticket->requests);
    for (; ticket->count < count; ticket->count++)
        ticket->requests[ticket->count] = create_request(ticket->engine, &prompts[ticket->count]);
    atomic_fetch_add(&requests_made, count);
    return STATUS_OK;
}

enum status engine_ticket_submit(struct engine_ticket *ticket, struct engine_request **requests,
                                 struct error *e) {
    struct engine *engine = ticket->engine;
    struct engine_request **end = &engine->requests;
    pthread_mutex_lock(&engine->lock);
    if (engine->draining) {
        pthread_mutex_unlock(&engine->lock);
        return error_set(e, STATUS_CLOSING, "", "draining");
    }
    while (*end) end = &(*end)->next;
    for (size_t i = 0; i < ticket->count; i++) {
        *end = requests[i] = ticket->requests[i];
        if (requests[i]->timeout_ms)
            requests[i]->deadline_ns = clock_ns() + requests[i]->timeout_ms * 1000000ull;
        end = &(*end)->next;
    }
    engine->reserved -= ticket->choices;
    pthread_mutex_unlock(&engine->lock);
    free(ticket->requests);
    free(ticket);
    return STATUS_OK;
}

static void destroy_request(struct engine_request *request) {
    for (uint32_t i = 0; i < request->choice_count; i++) free(request->choices[i].events);
    free(request->choices);
    free(request);
}

void engine_ticket_destroy(struct engine_ticket *ticket) {
    if (!ticket) return;
    pthread_mutex_lock(&ticket->engine->lock);
    ticket->engine->reserved -= ticket->choices;
    pthread_mutex_unlock(&ticket->engine->lock);
    for (size_t i = 0; i < ticket->count; i++) destroy_request(ticket->requests[i]);
    free(ticket->requests);
    free(ticket);
}

enum status engine_submit(struct engine *engine, const struct engine_prompt *prompts, size_t count,
                          struct engine_request **requests, struct error *e) {
    struct engine_ticket *ticket;
    size_t choices = 0;
    for (size_t i = 0; i < count; i++) choices += prompts[i].choices;
    enum status status = engine_ticket_create(engine, choices, &ticket, e);
    if (status != STATUS_OK) return status;
    status = engine_ticket_prepare(ticket, prompts, count, e);
    if (status == STATUS_OK) status = engine_ticket_submit(ticket, requests, e);
    if (status != STATUS_OK) engine_ticket_destroy(ticket);
    return status;
}

void *engine_request_user(const struct engine_request *request) {
    return request->user;
}

void engine_request_cancel(struct engine_request *request) {
    pthread_mutex_lock(&request->engine->lock);
    finish_early(request->engine, request, ENGINE_FINISH_CANCELLED);
    pthread_mutex_unlock(&request->engine->lock);
}

void engine_request_release(struct engine_request *request) {
    struct engine *engine = request->engine;
    pthread_mutex_lock(&engine->lock);
    struct engine_request **at = &engine->requests;
    while (*at != request) at = &(*at)->next;
    *at = request->next;
    for (uint32_t i = 0; i < request->choice_count; i++)
        engine->stats.finished_cancelled += !request->choices[i].finished;
    destroy_request(request);
    pthread_mutex_unlock(&engine->lock);
}

struct engine_request *engine_next_ready(struct engine *engine) {
    pthread_mutex_lock(&engine->lock);
    struct engine_request *r = engine->requests;
    while (r && !r->ready) r = r->next;
    if (r)
        r->ready = false;
    else
        engine->awake = false;
    pthread_mutex_unlock(&engine->lock);
    return r;
}

bool engine_request_next_event(struct engine_request *request, struct engine_event *out) {
    pthread_mutex_lock(&request->engine->lock);
    bool found = false;
    for (uint32_t i = 0; i < request->choice_count && !found; i++) {
        struct fake_choice *c = &request->choices[(request->taken_from + i) % request->choice_count];
        if (c->taken == c->made) continue;
        const struct fake_event *e = &c->events[c->taken++];
        *out = e->event;
        out->text = e->text;
        out->top = e->top;
        request->taken_from = (request->taken_from + i + 1) % request->choice_count;
        found = true;
    }
    pthread_mutex_unlock(&request->engine->lock);
    return found;
}

/* ---- load, drain, figures ------------------------------------------------------------------------------ */

void engine_drain(struct engine *engine) {
    pthread_mutex_lock(&engine->lock);
    engine->draining = true;
    pthread_mutex_unlock(&engine->lock);
}

unsigned engine_retry_after(const struct engine *engine) {
    (void)engine;
    return 7;
}

void engine_stats(const struct engine *engine, struct engine_stats *out) {
    static const double bounds[] = {0.01, 0.1, 1};
    struct engine *unlocked = (struct engine *)engine;
    pthread_mutex_lock(&unlocked->lock);
    *out = engine->stats;
    out->running = running_choices(engine);
    out->waiting = waiting_choices(engine);
    out->kv_pages_total = 1024;
    for (const struct engine_request *r = engine->requests; r; r = r->next)
        if (r->running && !is_finished(r))
            out->kv_pages_used += r->choice_count * (r->prompt_count / FAKE_PAGE_TOKENS + 1);
    pthread_mutex_unlock(&unlocked->lock);
    struct engine_histogram *histograms[] = {&out->time_to_first_token,
                                             &out->inter_token,
                                             &out->end_to_end,
                                             &out->queue_time,
                                             &out->prefill_time,
                                             &out->decode_time,
                                             &out->step_time_decode,
                                             &out->step_time_prefill,
                                             &out->step_time_mixed,
                                             &out->step_tokens,
                                             &out->step_sequences,
                                             &out->step_budget,
                                             &out->request_prompt_tokens,
                                             &out->request_generated_tokens};
    for (size_t i = 0; i < sizeof histograms / sizeof *histograms; i++) {
        histograms[i]->bounds = bounds;
        histograms[i]->bound_count = 3;
    }
}
