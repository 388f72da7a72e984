/* The description of the API says what the tables say, and docs/api.md what it says. Whether it is valid OpenAPI is for a
 * validator from PyPI to say (tests/clients). */
#include "tests/support/failing_malloc.h"
#include "tests/support/generated_section.h"
#include "tests/support/test_support.h"

#include <jansson.h>
#include <stdio.h>

#include "engine/base/json_memory.h"
#include "server/api/api_error.h"
#include "server/api/fields.h"
#include "server/endpoints/endpoints.h"
#include "server/reference/field_schema.h"
#include "server/reference/openapi.h"

#define COMMAND "test_server_endpoints_openapi"

static const struct api_limits limits = {.n_max = 16, .logprobs_max = 20};

static const struct {
    enum api_endpoint endpoint;
    const char *name, *schema;
} bodies[] = {{API_COMPLETIONS, "POST /v1/completions", "CompletionRequest"},
              {API_CHAT, "POST /v1/chat/completions", "ChatRequest"},
              {API_INFILL, "POST /infill", "InfillRequest"},
              {API_EMBEDDINGS, "POST /v1/embeddings", "EmbeddingRequest"},
              {API_SCORE, "POST /score", "ScoreRequest"},
              {API_TOKENIZE, "POST /tokenize", "TokenizeRequest"},
              {API_DETOKENIZE, "POST /detokenize", "DetokenizeRequest"},
              {API_APPLY_TEMPLATE, "POST /apply-template", "ApplyTemplateRequest"}};

static json_t *document(void) {
    char *text = openapi_document(&endpoints, &limits, "1.2.3");
    assert_non_null(text);
    json_t *root = json_loads(text, 0, NULL);
    assert_non_null(root);
    free(text);
    return root;
}

static json_t *inside(json_t *root, const char *const *keys) {
    for (; *keys; keys++) {
        json_t *next = json_object_get(root, *keys);
        if (!next) fail_msg("no '%s'", *keys);
        root = next;
    }
    return root;
}
#define INSIDE(root, ...) inside(root, (const char *const[]){__VA_ARGS__, NULL})

static void every_route_is_in_it(void **state) {
    (void)state;
    json_t *root = document();
    unsigned operations = 0;
    for (unsigned i = 0; i < endpoints.count; i++) {
        const struct route *route = &endpoints.routes[i];
        if (route->flags & ROUTE_ALIAS) continue;
        json_t *operation = INSIDE(root, "paths", route->label ? route->label : route->path,
                                   route->method[0] == 'G' ? "get" : "post");
        assert_string_equal(json_string_value(INSIDE(operation, "summary")), route->summary);
        if (strcmp(json_string_value(INSIDE(operation, "operationId")), "other") == 0)
            fail_msg("%s has no row among the operations of server/reference/openapi.c", route->path);
        operations++;
    }
    assert_int_equal(json_object_size(INSIDE(root, "paths")), operations);
    assert_int_equal(json_array_size(INSIDE(root, "x-errors")), API_ERROR_COUNT - 1);
    assert_string_equal(json_string_value(INSIDE(root, "info", "version")), "1.2.3");
    json_decref(root);
}

static void check_known_type(void *context, const struct openapi_field *field) {
    size_t *count = context;
    json_t *schema = field_schema(field->type);
    if (!schema) fail_msg("'%s' is of type '%s', which has no schema", field->name, field->type);
    assert_true(strlen(field->meaning) > 10);
    if (*field->initial) {
        json_t *initial = json_loads(field->initial, JSON_DECODE_ANY, NULL);
        if (!initial) fail_msg("the default of '%s' is no JSON: %s", field->name, field->initial);
        json_decref(initial);
    }
    json_decref(schema);
    ++*count;
}

static void every_field_has_type_range_default_and_meaning(void **state) {
    (void)state;
    json_t *root = document();
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        size_t count = 0;
        openapi_each_field(bodies[i].endpoint, &limits, check_known_type, &count);
        assert_true(count > 0);
        assert_int_equal(
            json_object_size(INSIDE(root, "components", "schemas", bodies[i].schema, "properties")), count);
    }
    json_t *fields = INSIDE(root, "components", "schemas", "CompletionRequest", "properties");
    assert_true(json_number_value(INSIDE(fields, "temperature", "maximum")) == 2);
    assert_true(json_number_value(INSIDE(fields, "temperature", "default")) == 1);
    assert_int_equal(json_integer_value(INSIDE(fields, "n", "maximum")), 16);
    assert_int_equal(json_integer_value(INSIDE(fields, "max_tokens", "default")), 16);
    assert_null(json_object_get(INSIDE(fields, "best_of"), "default"));
    assert_null(json_object_get(
        INSIDE(root, "components", "schemas", "ChatRequest", "properties", "max_tokens"), "default"));
    json_decref(root);
}

/* Each "$ref" leads somewhere. */
static void check_references(json_t *root, json_t *value) {
    const char *key;
    json_t *member;
    size_t i;
    json_array_foreach(value, i, member) check_references(root, member);
    json_object_foreach(value, key, member) {
        check_references(root, member);
        if (strcmp(key, "$ref") != 0) continue;
        char kind[32], name[64];
        assert_int_equal(sscanf(json_string_value(member), "#/components/%31[^/]/%63s", kind, name), 2);
        INSIDE(root, "components", kind, name);
    }
}

static void references_lead_somewhere(void **state) {
    (void)state;
    json_t *root = document();
    check_references(root, root);
    json_decref(root);
}

/* ---- docs/api.md ---- */

static void check_part(const char *name, void (*print)(FILE *out, size_t argument), size_t argument) {
    char *text = NULL, begin[96], end[96];
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    print(out, argument);
    fclose(out);
    snprintf(begin, sizeof begin, "<!-- %s: begin -->\n", name);
    snprintf(end, sizeof end, "<!-- %s: end -->", name);
    generated_section_check("docs", "api.md", begin, end, text, COMMAND);
    free(text);
}

/* What stands in a cell of a table. */
static void print_cell(FILE *out, const char *text) {
    for (; *text; text++) fprintf(out, *text == '|' ? "\\%c" : "%c", *text);
}

static void print_routes(FILE *out, size_t unused) {
    (void)unused;
    fprintf(out, "\n| route | what | key | other paths |\n|---|---|---|---|\n");
    for (unsigned i = 0; i < endpoints.count; i++) {
        const struct route *route = &endpoints.routes[i];
        if (route->flags & ROUTE_ALIAS) {
            fprintf(out, "%s`%s`", endpoints.routes[i - 1].flags & ROUTE_ALIAS ? ", " : " ", route->path);
        } else {
            fprintf(out, "%s| `%s %s` | %s | %s |", i ? " |\n" : "", route->method,
                    route->label ? route->label : route->path, route->summary,
                    route->flags & ROUTE_OPEN      ? "no"
                    : route->flags & ROUTE_METRICS ? "yes, unless `public-metrics`"
                                                   : "yes");
        }
    }
    fprintf(out, " |\n\n");
}

static void print_field(void *context, const struct openapi_field *field) {
    FILE *out = context;
    fprintf(out, "| `%s` | %s%s%s | ", field->name, field->type, *field->range ? ", " : "", field->range);
    if (*field->initial) fprintf(out, "`%s`", field->initial);
    fprintf(out, " | ");
    print_cell(out, field->meaning);
    fprintf(out, " |\n");
}

static void print_fields(FILE *out, size_t body) {
    fprintf(out, "\n| field | type, range | default | meaning |\n|---|---|---|---|\n");
    openapi_each_field(bodies[body].endpoint, &limits, print_field, out);
    fprintf(out, "\n");
}

static void print_errors(FILE *out, size_t unused) {
    static const struct {
        int status;
        const char *type, *code;
    } rows[] = {
#define X(kind, status, type, code, reason) {status, type, code},
        API_ERROR_LIST(X)
#undef X
    };
    (void)unused;
    fprintf(out, "\n| status | type | code | when |\n|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *meaning = api_error_meaning((enum api_error_kind)(i + 1));
        fprintf(out, "| %d | `%s` | %s%s%s | %s |\n", rows[i].status, rows[i].type, rows[i].code ? "`" : "",
                rows[i].code ? rows[i].code : "null", rows[i].code ? "`" : "", meaning ? meaning : "");
    }
    fprintf(out, "\n");
}

static void print_refused(FILE *out, size_t unused) {
    size_t count;
    const struct api_foreign_field *fields = api_foreign_fields(&count);
    (void)unused;
    fprintf(out, "\n| field | instead |\n|---|---|\n");
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "| `%s` | ", fields[i].name);
        print_cell(out, fields[i].instead);
        fprintf(out, " |\n");
    }
    fprintf(out, "\n");
}

static void the_page_of_the_api_agrees(void **state) {
    (void)state;
    check_part("routes", print_routes, 0);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) check_part(bodies[i].name, print_fields, i);
    check_part("errors", print_errors, 0);
    check_part("refused fields", print_refused, 0);
}

/* Of the allocations that it takes: some, in part fewer. */
enum { STRIDE = TEST_SHARE ? 97 : 7 };

static void it_is_whole_or_none_wherever_memory_ends(void **state) {
    (void)state;
    char *whole = openapi_document(&endpoints, &limits, "1.2.3");
    bool failed = true;
    size_t refused = 0;
    assert_non_null(whole);
    json_set_alloc_funcs(json_memory_take, free);
    for (size_t n = 1; failed; n += STRIDE) {
        failing_malloc_arm(n);
        char *text = openapi_document(&endpoints, &limits, "1.2.3");
        failed = failing_malloc_disarm();
        if (failed && text) fail_msg("allocation %zu: %zu bytes of %zu", n, strlen(text), strlen(whole));
        if (!failed) assert_string_equal(text, whole);
        refused += failed;
        free(text);
    }
    json_set_alloc_funcs(malloc, free);
    assert_true(refused > 1000 / STRIDE);
    free(whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_in_it),
        cmocka_unit_test(every_field_has_type_range_default_and_meaning),
        cmocka_unit_test(references_lead_somewhere),
        cmocka_unit_test(the_page_of_the_api_agrees),
        cmocka_unit_test(it_is_whole_or_none_wherever_memory_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
