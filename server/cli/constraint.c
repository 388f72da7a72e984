#include "server/cli/constraint.h"

#include <stdlib.h>
#include <string.h>

#include "server/cli/text_file.h"

#define SOURCE_BYTES_MAX ((size_t)16 << 20)

enum status constraint_init(struct constraint *c, const struct config *config, struct error *e) {
    const char *path = config->json_schema ? config->json_schema : config->grammar;
    *c = (struct constraint){0};
    if (!path && !config->regex) return STATUS_OK;
    c->source.kind = config->json_schema ? GRAMMAR_JSON_SCHEMA : config->regex ? GRAMMAR_REGEX : GRAMMAR_GBNF;
    c->option = config->json_schema ? "json-schema" : config->regex ? "regex" : "grammar";
    if ((config->json_schema != NULL) + (config->regex != NULL) + (config->grammar != NULL) > 1)
        return error_set(e, STATUS_OPTION, c->option,
                         "only one of json-schema, regex and grammar can say what the text must match");
    c->source.text = (struct engine_string){config->regex, config->regex ? strlen(config->regex) : 0};
    if (config->regex) return STATUS_OK;
    enum status status =
        text_file_read(path, c->option, SOURCE_BYTES_MAX, &c->file, &c->source.text.length, e);
    c->source.text.text = c->file;
    return status;
}

void constraint_deinit(struct constraint *c) {
    free(c->file);
    *c = (struct constraint){0};
}

enum status constraint_compile(const struct constraint *c, struct engine *engine, struct grammar **out,
                               struct error *e) {
    struct error cause;
    *out = NULL;
    if (!c->option) return STATUS_OK;
    enum status status = engine_grammar_get(engine, &c->source, out, &cause);
    if (status == STATUS_OK) return STATUS_OK;
    return error_set(e, status == STATUS_NO_MEMORY ? status : STATUS_OPTION, c->option, "%s%s%s", cause.where,
                     cause.where[0] ? ": " : "", cause.text);
}
