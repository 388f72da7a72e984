#include "tests/support/golden.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/files/json_file.h"
#include "engine/checkpoint/safetensors.h"

static int32_t *read_ids(const json_t *list, size_t *count) {
    *count = json_array_size(list);
    int32_t *ids = calloc(*count + 1, sizeof *ids);
    for (size_t i = 0; i < *count; i++) ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return ids;
}

static void read_logits(struct golden_sequence *s, const struct tensor_list *tensors, size_t index,
                        size_t vocabulary) {
    char name[32];
    snprintf(name, sizeof name, "logits_%zu", index);
    const struct tensor *t = tensor_list_find(tensors, name);
    assert_non_null(t);
    assert_int_equal(t->dtype, DTYPE_F32);
    assert_int_equal(t->shape[0], s->count);
    assert_int_equal(t->shape[1], vocabulary);
    size_t n = s->count * vocabulary;
    double sum = 0, squares = 0;
    s->logits = malloc(n * sizeof *s->logits);
    memcpy(s->logits, t->data, n * sizeof *s->logits);
    for (size_t i = 0; i < n; i++) sum += s->logits[i], squares += (double)s->logits[i] * s->logits[i];
    s->deviation = sqrt(squares / (double)n - sum / (double)n * (sum / (double)n));
}

static void read_greedy(struct golden_greedy *g, const json_t *prompt, const json_t *tokens,
                        const json_t *from) {
    g->prompt = read_ids(prompt, &g->prompt_count);
    g->tokens = read_ids(tokens, &g->count);
    g->smallest_margin = json_number_value(json_object_get(from, "smallest_margin"));
}

static void read_cases(struct golden *g, const json_t *root, const json_t *config) {
    const json_t *sequences = json_object_get(root, "sequences"), *cases = json_object_get(root, "cases");
    g->vocabulary = (size_t)json_integer_value(json_object_get(sequences ? root : config, "vocab_size"));
    g->tokenizer_vocabulary = g->vocabulary;
    const json_t *rows = json_object_get(root, "tokenizer_vocab");
    if (rows) g->tokenizer_vocabulary = (size_t)json_integer_value(rows);
    g->sequence_count = json_array_size(sequences ? sequences : cases);
    g->greedy_count = sequences ? 1 : g->sequence_count;
    g->sequences = calloc(g->sequence_count, sizeof *g->sequences);
    g->greedy = calloc(g->greedy_count, sizeof *g->greedy);
    for (size_t i = 0; i < g->sequence_count; i++) {
        const json_t *item = json_array_get(sequences ? sequences : cases, i);
        g->sequences[i].ids = read_ids(json_object_get(item, "ids"), &g->sequences[i].count);
        if (!sequences)
            read_greedy(&g->greedy[i], json_object_get(item, "ids"), json_object_get(item, "greedy"), item);
    }
    const json_t *greedy = json_object_get(root, "greedy");
    if (sequences)
        read_greedy(g->greedy, json_object_get(greedy, "prompt"), json_object_get(greedy, "tokens"), greedy);
}

static bool has_file(const char *folder, const char *name) {
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, R_OK) == 0;
}

void golden_init(struct golden *g, const char *folder) {
    struct error e = {0};
    json_t *root, *config;
    bool named_golden = has_file(folder, "golden.json");
    memset(g, 0, sizeof *g);
    assert_ok(json_file_load(folder, named_golden ? "golden.json" : "reference.json", 64u << 20, &root, &e));
    if (json_object_get(root, "sequences"))
        config = json_incref(root); /* says all itself */
    else
        assert_ok(json_file_load(folder, "config.json", 64u << 20, &config, &e));
    read_cases(g, root, config);
    struct mapped_file file;
    struct tensor_list tensors = {0};
    assert_ok(
        mapped_file_open(folder, named_golden ? "golden.safetensors" : "reference.safetensors", &file, &e));
    assert_ok(safetensors_read(&file, &tensors, &e));
    assert_ok(tensor_list_sort(&tensors, folder, &e));
    for (size_t i = 0; i < g->sequence_count; i++) read_logits(&g->sequences[i], &tensors, i, g->vocabulary);
    tensor_list_deinit(&tensors);
    mapped_file_close(&file);
    json_decref(root);
    json_decref(config);
}

void golden_deinit(struct golden *g) {
    for (size_t i = 0; i < g->sequence_count; i++) {
        free(g->sequences[i].ids);
        free(g->sequences[i].logits);
    }
    for (size_t i = 0; i < g->greedy_count; i++) {
        free(g->greedy[i].prompt);
        free(g->greedy[i].tokens);
    }
    free(g->sequences);
    free(g->greedy);
}

struct visit {
    void (*each)(const char *path, const char *name, void *context);
    void *context;
    size_t count;
};

static void visit_folder(const char *path, const char *name, void *context) {
    struct visit *visit = context;
    if (!has_file(path, "golden.json") && !has_file(path, "reference.json")) return;
    visit->each(path, name, visit->context);
    visit->count++;
}

void golden_place(const char *folder, struct golden_place *place) {
    struct error e = {0};
    json_t *root = NULL;
    snprintf(place->model, sizeof place->model, "%s", folder);
    place->lora = NULL;
    if (!has_file(folder, "golden.json")) return;
    assert_ok(json_file_load(folder, "golden.json", 64u << 20, &root, &e));
    const char *base = json_string_value(json_object_get(root, "base"));
    if (base && strchr(base, '/'))
        snprintf(place->model, sizeof place->model, "%s/tests/golden/%s", PRENORM_SOURCE_DIR, base);
    else if (base)
        snprintf(place->model, sizeof place->model, "%s/%s", folder, base);
    if (base) place->lora = folder;
    json_decref(root);
}

static void visit_listed(const char *variable, struct visit *visit) {
    const char *list = getenv(variable);
    char *folders = list ? strdup(list) : NULL, *rest = folders;
    for (char *folder; folders && (folder = strsep(&rest, ":"));)
        test_each_folder(folder, visit_folder, visit);
    free(folders);
}

size_t golden_each_adapter(void (*each)(const char *path, const char *name, void *context), void *context) {
    struct visit visit = {.each = each, .context = context};
    test_each_folder(test_source_path("tests/golden/adapters"), visit_folder, &visit);
    visit_listed("PRENORM_TEST_ADAPTERS", &visit);
    return visit.count;
}

size_t golden_each(void (*each)(const char *path, const char *name, void *context), void *context) {
    struct visit visit = {.each = each, .context = context};
    test_each_folder(test_source_path("tests/golden/placements"), visit_folder, &visit);
    test_each_folder(test_source_path("tests/golden/families"), visit_folder, &visit);
    visit_folder(test_source_path("deploy/models/tales"), "tales", &visit);
    visit_listed("PRENORM_TEST_MODELS", &visit);
    return visit.count;
}
