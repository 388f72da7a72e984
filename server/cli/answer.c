#include "server/cli/answer.h"

#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "server/json/write.h"
#include "server/service/service.h"

static enum status write_head(struct bytes *out, const struct generation *g, const struct config *config,
                              const char *model, struct error *e) {
    char name[256], fingerprint[128];
    unsigned long long random[2];
    struct engine_info info;
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return error_set(e, STATUS_IO, "id", "the system has no random bytes");
    engine_info(g->engine, &info);
    service_model_name(config, model, name, sizeof name);
    service_fingerprint(&info, fingerprint, sizeof fingerprint);
    bytes_format(out,
                 "{\"id\":\"cmpl-%016llx%016llx\",\"object\":\"text_completion\",\"created\":%lld,\"model\":",
                 random[0], random[1], (long long)time(NULL));
    json_write_text(out, name);
    bytes_text(out, ",\"system_fingerprint\":");
    json_write_text(out, fingerprint);
    return STATUS_OK;
}

static void write_usage(struct bytes *out, const struct generation *g) {
    const struct engine_event *first = &g->choices[0].last;
    unsigned long long prompt = first->prompt_tokens, generated = 0;
    for (size_t i = 0; i < g->count; i++) generated += g->choices[i].last.completion_tokens;
    bytes_format(out,
                 "\"usage\":{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu,"
                 "\"prompt_tokens_details\":{\"cached_tokens\":%u}}",
                 prompt, generated, prompt + generated, first->cached_tokens);
}

enum status answer_print(const struct generation *g, const struct config *config, const char *model,
                         struct error *e) {
    struct bytes out = {0};
    enum status status = write_head(&out, g, config, model, e);
    bytes_text(&out, ",\"choices\":[");
    for (size_t i = 0; i < g->count; i++) {
        if (i) bytes_text(&out, ",");
        choice_write_json(&out, &g->choices[i], config);
    }
    bytes_text(&out, "],");
    write_usage(&out, g);
    bytes_text(&out, "}\n");
    if (status == STATUS_OK && out.failed)
        status = error_set(e, STATUS_NO_MEMORY, "standard output", "no memory for the JSON");
    if (status == STATUS_OK && (fwrite(out.data, 1, out.length, stdout) != out.length || fflush(stdout) != 0))
        status = error_set(e, STATUS_IO, "standard output", "the JSON can't be written");
    bytes_deinit(&out);
    return status;
}
