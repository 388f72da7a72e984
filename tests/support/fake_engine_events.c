/* What a choice generates, laid down when it is submitted, and its events as the thread lets them out. */
#include "tests/support/fake_engine_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

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
    for (int i = 0; i < count && i < FAKE_TOP_MAX; i++)
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

/* All that a choice says, as it is written. */
struct script {
    const struct engine *engine;
    const struct engine_prompt *prompt;
    const struct engine_sampling *sampling;
    int32_t *ids; /* of the prompt, and of what is generated */
    size_t count;
    char *text; /* what is generated; `given` of its bytes are in events */
    size_t length, given;
    struct fake_event *events;
    size_t event_count;
    struct engine_event end;
};

/* What of the text up to `to` no event has yet. */
static void give_text(struct script *s, struct fake_event *e, size_t to) {
    if (to <= s->given) return;
    e->event.text_length = to - s->given < sizeof e->text ? to - s->given : sizeof e->text;
    memcpy(e->text, s->text + s->given, e->event.text_length);
    s->given += e->event.text_length;
}

static void lay_prompt(struct script *s) {
    const struct engine_prompt *p = s->prompt;
    for (size_t i = p->prompt_logprobs_from > 1 ? p->prompt_logprobs_from : 0; i < p->count; i++) {
        struct fake_event *e = &s->events[s->event_count++];
        e->event = (struct engine_event){.kind = ENGINE_EVENT_PROMPT, .id = p->ids[i], .text = ""};
        if (i) set_logprobs(e, i, p->logprobs > 0 ? p->logprobs : 0);
    }
}

/* With stop strings the text is held back by one token. */
static void lay_text(struct script *s, struct fake_event *e) {
    const struct engine_prompt *p = s->prompt;
    size_t stop = stop_at(p, s->text, s->length, &s->end.stop_string),
           out = p->stop_count && s->length ? s->length - 1 : s->length;
    if (stop != SIZE_MAX) {
        s->end.finish = ENGINE_FINISH_STOP;
        out = p->include_stop_text ? stop + p->stops[s->end.stop_string].length : stop;
        s->length = out > s->given ? out : s->given;
    }
    give_text(s, e, out);
}

/* The token number `made`, from 1 on. */
static void lay_token(struct script *s, uint32_t made) {
    const struct engine_prompt *p = s->prompt;
    static const struct error failure = {STATUS_MALFORMED, "fake", "it was told to fail here"};
    struct fake_event *e = &s->events[s->event_count++];
    int32_t id = next_token(s->ids, s->count, s->sampling, s->end.choice);
    if (id == FAKE_END && p->ignore_end) id = ' ';
    e->event = (struct engine_event){.kind = ENGINE_EVENT_TOKEN, .choice = s->end.choice, .id = id};
    set_logprobs(e, s->count, p->logprobs);
    s->ids[s->count++] = id;
    if (ends(p, id, made)) {
        s->end.finish = ENGINE_FINISH_STOP;
        s->end.stop_token = id;
    } else if (id < 256) {
        s->text[s->length++] = (char)id;
    }
    lay_text(s, e);
    s->end.completion_tokens = made;
    if (made == s->engine->fail_at) {
        s->end.finish = ENGINE_FINISH_FAILED;
        s->end.error = &failure;
    }
}

size_t fake_choice_lay_down(const struct engine *engine, const struct engine_prompt *p, uint32_t choice,
                            const struct engine_sampling *sampling, int32_t *ids, struct fake_event *events) {
    uint32_t room = (uint32_t)(FAKE_CONTEXT - p->count), most = p->max_tokens < room ? p->max_tokens : room;
    if (engine->tokens_max && most > engine->tokens_max) most = engine->tokens_max;
    struct script s = {.engine = engine,
                       .prompt = p,
                       .sampling = sampling,
                       .ids = ids,
                       .count = p->count,
                       .text = calloc(most + 1, 1),
                       .events = events,
                       .end = {.kind = ENGINE_EVENT_FINISHED,
                               .choice = choice,
                               .finish = ENGINE_FINISH_LENGTH,
                               .stop_string = -1,
                               .stop_token = -1,
                               .seed = sampling->seed,
                               .text = "",
                               .prompt_tokens = (uint32_t)p->count}};
    assert(s.text);
    if (p->prompt_logprobs && choice == 0) lay_prompt(&s);
    for (uint32_t made = 1; made <= most && s.end.finish == ENGINE_FINISH_LENGTH; made++) lay_token(&s, made);
    events[s.event_count].event = s.end;
    if (s.end.finish != ENGINE_FINISH_FAILED) give_text(&s, &events[s.event_count], s.length);
    free(s.text);
    return s.event_count + 1;
}

/* ---- letting it out ------------------------------------------------------------------------------------ */

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

bool fake_choice_advance(struct engine *engine, struct engine_request *r, struct fake_choice *c) {
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

void fake_request_finish(struct engine *engine, struct engine_request *r, enum engine_finish finish) {
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
