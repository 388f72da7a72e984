#include "server/reference/openapi.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/embed.h"
#include "engine/base/json_memory.h"
#include "server/api/api_error.h"
#include "server/api/fields.h"
#include "server/reference/field_schema.h"

extern const char answers_begin[], answers_end[];
EMBED_FILE("answers", EMBEDDED);

/* What a route takes and gives. A route without a row gives a text. */
struct operation {
    const char *path, *id;
    enum api_endpoint endpoint; /* whose fields its body has; 0: it has none */
    const char *request;        /* name of its schema */
    const char *required[2];    /* fields that the body must have; NULL: none */
    const char *answer, *type;  /* schema, NULL: none; media type */
    const char *chunk;          /* schema of an event of its stream; NULL: it has none */
};

static const struct operation operations[] = {
    {"/v1/completions",
     "complete",
     API_COMPLETIONS,
     "CompletionRequest",
     {"prompt"},
     "Completion",
     "application/json",
     "Completion"},
    {"/v1/chat/completions",
     "chat",
     API_CHAT,
     "ChatRequest",
     {"messages"},
     "ChatCompletion",
     "application/json",
     "ChatChunk"},
    {"/infill", "infill", API_INFILL, "InfillRequest", {NULL}, "Infill", "application/json", "Infill"},
    {"/v1/embeddings",
     "embed",
     API_EMBEDDINGS,
     "EmbeddingRequest",
     {"input"},
     "Embeddings",
     "application/json",
     NULL},
    {"/score",
     "score",
     API_SCORE,
     "ScoreRequest",
     {"prompt", "continuation"},
     "Scores",
     "application/json",
     NULL},
    {"/apply-template",
     "applyTemplate",
     API_APPLY_TEMPLATE,
     "ApplyTemplateRequest",
     {"messages"},
     "Text",
     "application/json",
     NULL},
    {"/tokenize", "tokenize", API_TOKENIZE, "TokenizeRequest", {NULL}, "Tokens", "application/json", NULL},
    {"/detokenize",
     "detokenize",
     API_DETOKENIZE,
     "DetokenizeRequest",
     {"tokens"},
     "Text",
     "application/json",
     NULL},
    {"/v1/models", "models", 0, NULL, {NULL}, "Models", "application/json", NULL},
    {"/v1/models/", "model", 0, NULL, {NULL}, "Model", "application/json", NULL},
    {"/tokenizer_info", "tokenizerInfo", 0, NULL, {NULL}, "TokenizerInfo", "application/json", NULL},
    {"/health", "health", 0, NULL, {NULL}, "Status", "application/json", NULL},
    {"/ready", "ready", 0, NULL, {NULL}, "Status", "application/json", NULL},
    {"/version", "version", 0, NULL, {NULL}, "Version", "application/json", NULL},
    {"/metrics", "metrics", 0, NULL, {NULL}, NULL, "text/plain", NULL},
    {"/openapi.json", "openapi", 0, NULL, {NULL}, NULL, "application/json", NULL},
    {"/", "page", 0, NULL, {NULL}, NULL, "text/html", NULL},
};

enum { OPERATION_COUNT = sizeof operations / sizeof *operations };

static const struct operation *find_operation(const char *path) {
    for (size_t i = 0; i < OPERATION_COUNT; i++)
        if (strcmp(operations[i].path, path) == 0) return &operations[i];
    return NULL;
}

static json_t *reference(const char *kind, const char *name) {
    return json_pack("{s:o}", "$ref", json_sprintf("#/components/%s/%s", kind, name));
}

/* ---- paths ---- */

static json_t *content(const char *type, const char *schema) {
    return json_pack("{s:{s:o}}", type, "schema",
                     schema ? reference("schemas", schema) : json_pack("{s:s}", "type", "string"));
}

static json_t *answers_of(const struct operation *o) {
    bool is_document = !o->answer && strcmp(o->type, "application/json") == 0;
    json_t *media = is_document ? json_pack("{s:{s:{s:s}}}", o->type, "schema", "type", "object")
                                : content(o->type, o->answer);
    if (o->chunk) json_object_update_new(media, content("text/event-stream", o->chunk));
    return json_pack("{s:{s:s, s:o}, s:o}", "200", "description", "The answer.", "content", media, "default",
                     reference("responses", "Error"));
}

static json_t *parameters_of(const struct route *route) {
    if (!(route->flags & ROUTE_PREFIX)) return json_array();
    return json_pack("[{s:s, s:s, s:b, s:{s:s}}]", "name", "id", "in", "path", "required", 1, "schema",
                     "type", "string");
}

/* Other paths of the same, which stand behind it in the table. */
static json_t *aliases_of(const struct route_table *table, const struct route *route) {
    json_t *list = json_array();
    while (++route < table->routes + table->count && route->flags & ROUTE_ALIAS)
        json_array_append_new(list, json_string(route->path));
    return list;
}

static json_t *operation_of(const struct route_table *table, const struct route *route) {
    static const struct operation other = {.id = "other", .type = "text/plain"};
    const struct operation *o = find_operation(route->path);
    if (!o) o = &other;
    json_t *out = json_pack("{s:s, s:s, s:o, s:o, s:o}", "operationId", o->id, "summary",
                            route->summary ? route->summary : route->path, "parameters", parameters_of(route),
                            "responses", answers_of(o), "x-aliases", aliases_of(table, route));
    if (o->request)
        json_object_set_new(
            out, "requestBody",
            json_pack("{s:b, s:o}", "required", 1, "content", content("application/json", o->request)));
    if (route->flags & ROUTE_OPEN) json_object_set_new(out, "security", json_array());
    return out;
}

static json_t *paths(const struct route_table *table) {
    json_t *out = json_object();
    for (unsigned i = 0; i < table->count; i++) {
        const struct route *route = &table->routes[i];
        if (route->flags & ROUTE_ALIAS) continue;
        const char *method = route->method[0] == 'G' ? "get" : "post";
        json_object_set_new(out, route->label ? route->label : route->path,
                            json_pack("{s:o}", method, operation_of(table, route)));
    }
    return out;
}

/* ---- components ---- */

static void add_property(void *context, const struct openapi_field *field) {
    json_t *schema = field_schema(field->type);
    json_object_set_new(schema, "description", json_string(field->meaning));
    double least, most;
    if (sscanf(field->range, "%lf to %lf", &least, &most) == 2) {
        bool is_integer = strcmp(field->type, "integer") == 0;
        json_object_set_new(schema, "minimum",
                            is_integer ? json_integer((json_int_t)least) : json_real(least));
        json_object_set_new(schema, "maximum", is_integer ? json_integer((json_int_t)most) : json_real(most));
    }
    if (*field->initial)
        json_object_set_new(schema, "default", json_loads(field->initial, JSON_DECODE_ANY, NULL));
    json_object_set_new(context, field->name, schema);
}

static json_t *request_schema(const struct operation *o, const struct api_limits *limits) {
    json_t *properties = json_object();
    openapi_each_field(o->endpoint, limits, add_property, properties);
    json_t *schema = json_pack("{s:s, s:o}", "type", "object", "properties", properties);
    json_t *required = json_array();
    for (size_t i = 0; i < sizeof o->required / sizeof *o->required && o->required[i]; i++)
        json_array_append_new(required, json_string(o->required[i]));
    if (json_array_size(required)) json_object_set(schema, "required", required);
    json_decref(required);
    return schema;
}

static json_t *schemas(const struct api_limits *limits) {
    json_t *out = json_loadb(answers_begin, EMBEDDED_BYTES(answers), 0, NULL);
    for (size_t i = 0; i < OPERATION_COUNT; i++)
        if (operations[i].request)
            json_object_set_new(out, operations[i].request, request_schema(&operations[i], limits));
    return out;
}

static json_t *components(const struct api_limits *limits) {
    return json_pack("{s:o, s:{s:{s:s, s:o}}, s:{s:{s:s, s:s, s:s}}}", "schemas", schemas(limits),
                     "responses", "Error", "description", "Refused, or failed: see x-errors.", "content",
                     content("application/json", "Error"), "securitySchemes", "key", "type", "http", "scheme",
                     "bearer", "description",
                     "Where the server has keys; X-Api-Key and api-key are as good.");
}

static json_t *errors(void) {
    static const struct {
        const char *type, *code;
    } rows[] = {
#define X(kind, status, type, code, reason) [API_##kind] = {type, code},
        API_ERROR_LIST(X)
#undef X
    };
    json_t *out = json_array();
    for (enum api_error_kind kind = API_OK + 1; kind < API_ERROR_COUNT; kind++) {
        const char *meaning = api_error_meaning(kind);
        json_array_append_new(out, json_pack("{s:i, s:s, s:s?, s:s}", "status", (int)api_error_status(kind),
                                             "type", rows[kind].type, "code", rows[kind].code, "meaning",
                                             meaning ? meaning : ""));
    }
    return out;
}

static json_t *refused_fields(void) {
    size_t count;
    const struct api_foreign_field *fields = api_foreign_fields(&count);
    json_t *out = json_object();
    for (size_t i = 0; i < count; i++)
        json_object_set_new(out, fields[i].name, json_string(fields[i].instead));
    return out;
}

static json_t *whole(const struct route_table *routes, const struct api_limits *limits, const char *version) {
    return json_pack(
        "{s:s, s:{s:s, s:s, s:s, s:{s:s, s:s}}, s:[{s:[]}, {}], s:o, s:o, s:o, s:o}", "openapi", "3.1.0",
        "info", "title", "prenormd", "version", version, "description",
        "Text completion, embeddings and scores by Pre-Norm language models. Fields that are null count as "
        "absent. Fields that "
        "promise what is not done here are refused by name (x-refused-fields); other unknown ones are "
        "ignored, or refused with --strict.",
        "license", "name", "MIT", "identifier", "MIT", "security", "key", "paths", paths(routes),
        "components", components(limits), "x-errors", errors(), "x-refused-fields", refused_fields());
}

/* As of a parse: of all that it is made of nothing asks whether there was memory for it. */
char *openapi_document(const struct route_table *routes, const struct api_limits *limits,
                       const char *version) {
    json_memory_begin();
    json_t *root = whole(routes, limits, version);
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (json_memory_end()) return text;
    free(text);
    return NULL;
}

/* ---- fields ---- */

/* In a chat and in /infill the default is the room that is left. */
static bool has_default(const char *name, enum api_endpoint endpoint) {
    return endpoint == API_COMPLETIONS || strcmp(name, "max_tokens") != 0;
}

struct number_row {
    const char *name, *type, *meaning;
    double initial, least, most;
    unsigned where;
};

static void describe_number(const struct number_row *row, enum api_endpoint endpoint,
                            struct openapi_field *out) {
    bool is_bool = strcmp(row->type, "boolean") == 0;
    *out = (struct openapi_field){.name = row->name, .meaning = row->meaning, .type = row->type};
    const bool is_bounded = !is_bool && row->most >= row->least; /* by the model, where there is none yet */
    if (is_bounded) snprintf(out->range, sizeof out->range, "%.15g to %.15g", row->least, row->most);
    if (row->initial < row->least || !has_default(row->name, endpoint)) return;
    if (is_bool)
        snprintf(out->initial, sizeof out->initial, row->initial > 0 ? "true" : "false");
    else
        snprintf(out->initial, sizeof out->initial, "%.15g", row->initial);
}

#define TYPE_INTEGER "integer"
#define TYPE_REAL    "number"
#define TYPE_BOOL    "boolean"

static void each_number(enum api_endpoint endpoint, const struct api_limits *limits,
                        void (*each)(void *context, const struct openapi_field *field), void *context) {
    const struct number_row rows[] = {
#define NUMBER(type, field, name, initial, least, most, where, meaning)                                      \
    {name, TYPE_##type, meaning, initial, least, most, where},
#include "server/api/params.def"
#undef NUMBER
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct openapi_field field;
        if (!(rows[i].where & endpoint)) continue;
        describe_number(&rows[i], endpoint, &field);
        each(context, &field);
    }
}

void openapi_each_field(enum api_endpoint endpoint, const struct api_limits *limits,
                        void (*each)(void *context, const struct openapi_field *field), void *context) {
    static const struct {
        const char *name, *type, *initial;
        unsigned where;
        const char *meaning;
    } rows[] = {
#define FIELD(name, type, initial, where, meaning) {name, type, initial, where, meaning},
#include "server/api/params.def"
#undef FIELD
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!(rows[i].where & endpoint)) continue;
        struct openapi_field field = {.name = rows[i].name, .type = rows[i].type, .meaning = rows[i].meaning};
        snprintf(field.initial, sizeof field.initial, "%s", rows[i].initial);
        each(context, &field);
    }
    each_number(endpoint, limits, each, context);
}
