#include "server/cli/constraint.h"

#include <stdlib.h>
#include <string.h>

#include "server/cli/text_file.h"

#define SOURCE_BYTES_MAX ((size_t)16 << 20)

bool constraint_is_set(const struct config *config) {
    return config->json_schema || config->regex || config->grammar;
}

/* The option's key, and what it says; a file's text is the caller's to free. */
static enum status read_source(const struct config *config, const char **option,
                               struct grammar_source *source, char **text, struct error *e) {
    const char *path = config->json_schema ? config->json_schema : config->grammar;
    source->kind = config->json_schema ? GRAMMAR_JSON_SCHEMA : config->regex ? GRAMMAR_REGEX : GRAMMAR_GBNF;
    *option = config->json_schema ? "json-schema" : config->regex ? "regex" : "grammar";
    if ((config->json_schema != NULL) + (config->regex != NULL) + (config->grammar != NULL) > 1)
        return error_set(e, STATUS_OPTION, *option,
                         "only one of json-schema, regex and grammar can say what the text must match");
    source->text = (struct engine_string){config->regex, config->regex ? strlen(config->regex) : 0};
    if (config->regex) return STATUS_OK;
    enum status status = text_file_read(path, *option, SOURCE_BYTES_MAX, text, &source->text.length, e);
    source->text.text = *text;
    return status;
}

enum status constraint_get(const struct config *config, struct engine *engine, struct grammar **out,
                           struct error *e) {
    struct grammar_source source = {0};
    const char *option;
    char *text = NULL;
    struct error cause;
    *out = NULL;
    if (!constraint_is_set(config)) return STATUS_OK;
    enum status status = read_source(config, &option, &source, &text, e);
    if (status == STATUS_OK && (status = engine_grammar_get(engine, &source, out, &cause)) != STATUS_OK)
        status = error_set(e, status == STATUS_NO_MEMORY ? status : STATUS_OPTION, option, "%s%s%s",
                           cause.where, cause.where[0] ? ": " : "", cause.text);
    free(text);
    return status;
}
