/* Loading from a folder and from a converted file: what may be chosen, and files whose claims are false under
 * valid checksums. That both give the same model is tests/golden/test_model_file.c. */
#include "engine/loaded/loaded_model.h"

#include <unistd.h>

#include "tests/unit/engine/modelfile/fixture.h"

static struct workers *workers;

static int setup(void **state) {
    *state = place_create(test_source_path("tests/golden/placements/pre"), NORM_FORM_CRMSNORM,
                          WEIGHT_TYPE_F32, workers);
    return 0;
}

/* Of a family with biases, q, k and v in one tensor, and a tied head. */
static int setup_gpt2(void **state) {
    *state = place_create(test_source_path("tests/golden/families/gpt2"), NORM_FORM_RMSNORM, WEIGHT_TYPE_INT8,
                          workers);
    return 0;
}

static int teardown(void **state) {
    place_destroy(*state);
    return 0;
}

static void opens(const struct loaded_model_options *options) {
    struct error e = {0};
    struct loaded_model model;
    assert_ok(loaded_model_init(&model, options, workers, &e));
    loaded_model_deinit(&model);
}

static void refused(const struct loaded_model_options *options, enum status status, const char *words) {
    struct error e = {0};
    struct loaded_model model;
    struct tokenizer *tokenizer;
    struct loaded_model_options with_tokenizer = *options;
    with_tokenizer.tokenizer = &tokenizer;
    enum status found = loaded_model_init(&model, &with_tokenizer, workers, &e);
    assert_null(tokenizer);
    if (found == STATUS_OK) fail_msg("opened, expected '%s'", words);
    char text[ERROR_LINE_BYTES];
    error_format(&e, text, sizeof text);
    if (found != status) fail_msg("status %s: %s; expected '%s'", status_name(found), text, words);
    assert_says(text, words);
}

static void refused_draft(const struct place *place, enum status status, const char *words) {
    place_save(place);
    refused(&(struct loaded_model_options){.model = place->path, .any_form = true, .any_weights = true},
            status, words);
}

static json_t *entry(const struct place *place, const char *name) {
    json_t *found = json_object_get(place->draft.header, name);
    assert_non_null(found);
    return found;
}

/* ---- choices ---- */

static void test_what_may_be_chosen(void **state) {
    const struct place *place = *state;
    const char *path = place->path;
    assert_true(loaded_model_path_is_file(path));
    assert_false(loaded_model_path_is_file(place->folder));
    assert_false(loaded_model_path_is_file("/nowhere"));
    opens(&(struct loaded_model_options){
        .model = path, .form = NORM_FORM_RMSNORM, .weights = WEIGHT_TYPE_INT8});
    opens(&(struct loaded_model_options){.model = path, .any_form = true, .any_weights = true});
    refused(&(struct loaded_model_options){.model = path, .form = NORM_FORM_RMSNORM}, STATUS_OPTION,
            "weights|int8|with f32|convert it again");
    refused(&(struct loaded_model_options){.model = path, .form = NORM_FORM_CRMSNORM, .any_weights = true},
            STATUS_OPTION, "norm-form|rmsnorm|as crmsnorm|convert it again");
    refused(
        &(struct loaded_model_options){
            .model = path, .any_form = true, .any_weights = true, .matmul = MATMUL_OPENBLAS},
        STATUS_OPTION, "matmul|own");
    refused(
        &(struct loaded_model_options){
            .model = path, .any_form = true, .any_weights = true, .context = 1u << 20},
        STATUS_OPTION, "context");
    refused(
        &(struct loaded_model_options){
            .model = path, .any_form = true, .any_weights = true, .head = HEAD_WEIGHTS_INT4},
        STATUS_OPTION, "head-weights|beside those in int8");
    refused(&(struct loaded_model_options){.model = "/nowhere"}, STATUS_OPTION, "model");
}

/* A file keeps the type that it has; asked for by name it has to be that. */
static void test_the_head_of_a_file(void **state) {
    const struct place *place = *state;
    struct error e = {0};
    for (enum head_weights head = HEAD_WEIGHTS_INT8; head < HEAD_WEIGHTS_COUNT; head++) {
        const enum head_weights other = HEAD_WEIGHTS_INT8 + HEAD_WEIGHTS_INT4 - head;
        struct loaded_model_options o = {.model = place->model, .weights = WEIGHT_TYPE_INT4, .head = head};
        struct loaded_model folder;
        assert_ok(loaded_model_init(&folder, &o, workers, &e));
        fixture_write(place->model, &folder.packed, place->path);
        loaded_model_deinit(&folder);
        o = (struct loaded_model_options){.model = place->path, .any_form = true, .any_weights = true};
        opens(&o);
        o.head = head;
        opens(&o);
        o.head = other;
        refused(&o, STATUS_OPTION, head_weights_name(other));
    }
    refused(&(struct loaded_model_options){.model = place->model, .head = HEAD_WEIGHTS_INT8}, STATUS_OPTION,
            "head-weights|int4|f32");
}

/* From a folder int8 is rotated, and nothing else; where the stream may not be, the rest is. A file of int8 that was
 * written without rotations runs as it is. */
static void test_what_is_rotated(void **state) {
    const struct place *place = *state;
    static const struct {
        const char *folder;
        enum norm_form form;
        bool stream;
    } rows[] = {
        {"pre", NORM_FORM_CRMSNORM, true}, /* in its orthonormal basis */
        {"pre", NORM_FORM_RMSNORM, true},
        {"pre", NORM_FORM_LAYERNORM, false},
        {"sandwich", NORM_FORM_CRMSNORM, false},
        {"sub-ln", NORM_FORM_CRMSNORM, true},
        {"mix-layernorm", NORM_FORM_RMSNORM, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (enum weight_type type = 0; type < WEIGHT_TYPE_COUNT; type++) {
            struct error e = {0};
            struct loaded_model model;
            char folder[200];
            snprintf(folder, sizeof folder, "tests/golden/placements/%s", rows[i].folder);
            struct loaded_model_options options = {
                .model = test_source_path(folder), .form = rows[i].form, .weights = type};
            assert_ok(loaded_model_init(&model, &options, workers, &e));
            assert_int_equal(model.folded.rotated, type == WEIGHT_TYPE_INT8);
            assert_int_equal(model.folded.stream.order > 0, type == WEIGHT_TYPE_INT8 && rows[i].stream);
            assert_int_equal(model.packed.layers[0].mlp.output.rotates_rows, type == WEIGHT_TYPE_INT8);
            loaded_model_deinit(&model);
        }
    struct error e = {0};
    struct loaded_model file;
    struct loaded_model_options options = {.model = place->path, .any_form = true, .any_weights = true};
    assert_ok(loaded_model_init(&file, &options, workers, &e));
    assert_int_equal(file.packed.weights, WEIGHT_TYPE_INT8);
    assert_false(file.folded.rotated || file.packed.layers[0].mlp.output.rotates_rows);
    loaded_model_deinit(&file);
}

static void test_a_git_lfs_pointer(void **state) {
    (void)state;
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n";
    char path[1200], *folder = test_folder_create();
    test_file_write(folder, "model", pointer, sizeof pointer - 1);
    snprintf(path, sizeof path, "%s/model", folder);
    refused(&(struct loaded_model_options){.model = path}, STATUS_OPTION,
            "model|Git LFS pointer|git lfs pull");
    test_folder_remove(folder);
}

/* More than the model's own context where positions are computed, if it is asked for by name; never beyond a learned
 * table. */
static void test_context(void **state) {
    (void)state;
    struct error e = {0};
    struct loaded_model model;
    static const char *const extending[] = {"gpt_neox", "bloom", "falcon-rw", "xglm", "ctrl", "mpt"};
    for (size_t i = 0; i < sizeof extending / sizeof *extending; i++) {
        char path[256];
        snprintf(path, sizeof path, "tests/golden/families/%s", extending[i]);
        struct loaded_model_options options = {.model = test_source_path(path), .form = NORM_FORM_CRMSNORM};
        assert_ok(loaded_model_init(&model, &options, workers, &e));
        size_t own = model.description.context;
        assert_int_equal(model.own_context, own);
        loaded_model_deinit(&model);
        options.context = own;
        opens(&options);
        options.context = own + 5;
        refused(&options, STATUS_OPTION, "context|extend-context");
        options.extend_context = true;
        assert_ok(loaded_model_init(&model, &options, workers, &e));
        assert_int_equal(model.description.context, own + 5);
        assert_int_equal(model.own_context, own);
        loaded_model_deinit(&model);
        options.context = MODEL_CONTEXT_MAX + 1;
        refused(&options, STATUS_OPTION, "context|4194304");
    }
    refused(&(struct loaded_model_options){.model = test_source_path("tests/golden/families/gpt2"),
                                           .form = NORM_FORM_CRMSNORM,
                                           .context = 1u << 16,
                                           .extend_context = true},
            STATUS_OPTION, "context|table");
}

/* A model of RMSNorm has no other form: what is asked for by name is refused, the default is not. From its folder
 * and from a file. */
static void test_another_form_of_rmsnorm(void **state) {
    const struct place *place = *state;
    const char *folder = test_source_path("tests/golden/families/qwen3-bias");
    fixture_convert(folder, NORM_FORM_CRMSNORM, WEIGHT_TYPE_F32, workers, place->path);
    const char *const models[] = {folder, place->path};
    for (size_t i = 0; i < 2; i++)
        for (enum norm_form form = 0; form <= NORM_FORM_ORTHONORMAL; form++) {
            struct loaded_model_options options = {.model = models[i], .form = form, .any_form = true};
            opens(&options);
            options.form_asked = true;
            if (form == NORM_FORM_RMSNORM)
                opens(&options);
            else
                refused(&options, STATUS_OPTION, "norm-form|RMSNorm|rmsnorm form");
        }
}

/* A model that has one form only is not refused when another is asked for, as from its folder. */
static void test_the_nearest_form(void **state) {
    const struct place *place = *state;
    fixture_convert(test_source_path("tests/golden/placements/post"), NORM_FORM_CRMSNORM, WEIGHT_TYPE_F32,
                    workers, place->path);
    for (enum norm_form form = 0; form < NORM_FORM_COUNT; form++)
        opens(&(struct loaded_model_options){.model = place->path, .form = form});
}

static void test_the_tokenizer_comes_along(void **state) {
    const struct place *place = *state;
    struct error e = {0};
    struct loaded_model folder, file;
    struct tokenizer *tokenizers[2];
    struct token_list ids[2] = {0};
    struct loaded_model_options options = {
        .model = place->model, .any_form = true, .any_weights = true, .tokenizer = &tokenizers[0]};
    assert_ok(loaded_model_init(&folder, &options, workers, &e));
    options.model = place->path;
    options.tokenizer = &tokenizers[1];
    assert_ok(loaded_model_init(&file, &options, workers, &e));
    for (size_t i = 0; i < 2; i++)
        assert_ok(tokenizer_encode(tokenizers[i], "a b c", 5, true, 0, &ids[i], &e));
    assert_int_equal(ids[0].count, ids[1].count);
    assert_memory_equal(ids[0].ids, ids[1].ids, ids[0].count * sizeof *ids[0].ids);
    for (size_t i = 0; i < 2; i++) {
        free(ids[i].ids);
        tokenizer_close(tokenizers[i]);
    }
    loaded_model_deinit(&folder);
    loaded_model_deinit(&file);
}

static void test_without_a_tokenizer(void **state) {
    struct place *place = *state;
    json_t *text = json_incref(entry(place, MODEL_FILE_TOKENIZER));
    json_object_del(place->draft.header, MODEL_FILE_TOKENIZER);
    json_object_set_new(place->draft.header, MODEL_FILE_GENERATION, text); /* any JSON will do */
    place_save(place);
    opens(&(struct loaded_model_options){.model = place->path, .any_form = true});
    refused(&(struct loaded_model_options){.model = place->path, .any_form = true}, STATUS_OPTION,
            "without a tokenizer");
    /* Who asks why there is none gets the model all the same. */
    struct tokenizer *tokenizer;
    struct error why;
    opens(&(struct loaded_model_options){
        .model = place->path, .any_form = true, .tokenizer = &tokenizer, .no_tokenizer = &why});
    assert_null(tokenizer);
    assert_int_equal(why.code, STATUS_NOT_FOUND);
    assert_non_null(strstr(why.text, "without a tokenizer"));
}

/* ---- adapters ---- */

/* The golden case's adapter, and the model that it is of. */
#define ADAPTED "tests/golden/families/gpt2"
#define ADAPTER "tests/golden/adapters/gpt2-c_attn"

static void link_file(const char *from, const char *folder, const char *name) {
    char source[1200], link[1200];
    snprintf(source, sizeof source, "%s/%s", from, name);
    snprintf(link, sizeof link, "%s/%s", folder, name);
    assert_int_equal(symlink(source, link), 0);
}

static void test_an_adapter_beside_the_model(void **state) {
    const struct place *place = *state;
    const char *model = test_source_path(ADAPTED), *adapter = test_source_path(ADAPTER),
               *both = place->folder;
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) link_file(model, both, files[i]);
    link_file(adapter, both, "adapter_config.json");
    link_file(adapter, both, "adapter_model.safetensors");
    refused(&(struct loaded_model_options){.model = both}, STATUS_OPTION,
            "adapter_config.json|--lora|--ignore-adapter");
    refused(&(struct loaded_model_options){.model = both, .lora = adapter}, STATUS_OPTION,
            "--ignore-adapter");
    refused(&(struct loaded_model_options){.model = adapter}, STATUS_OPTION, "needs its base|--lora");
    opens(&(struct loaded_model_options){.model = both, .ignore_adapter = true});
    opens(&(struct loaded_model_options){.model = both, .lora = adapter, .ignore_adapter = true});
    opens(&(struct loaded_model_options){.model = both, .lora = both});
    opens(&(struct loaded_model_options){.model = model, .lora = adapter});
    refused(&(struct loaded_model_options){.model = model, .lora = "/nowhere"}, STATUS_OPTION,
            "/nowhere/adapter_config.json");
    refused(
        &(struct loaded_model_options){
            .model = place->path, .lora = adapter, .any_form = true, .any_weights = true},
        STATUS_OPTION, "lora|is a converted file");
}

static void test_a_converted_file_says_what_was_merged(void **state) {
    const struct place *place = *state;
    struct error e = {0};
    struct loaded_model merged, file;
    struct loaded_model_options options = {.model = test_source_path(ADAPTED),
                                           .lora = test_source_path(ADAPTER)};
    assert_ok(loaded_model_init(&merged, &options, workers, &e));
    assert_string_equal(merged.adapter.name, "gpt2-c_attn");
    struct file_writer writer;
    size_t length;
    char *config = fixture_text(options.model, "config.json", &length);
    struct model_file_content content = {.packed = &merged.packed,
                                         .adapter = &merged.adapter,
                                         .texts = {.config = config, .config_length = length}};
    assert_ok(file_writer_open(&writer, place->path, &e));
    assert_ok(model_file_write(&writer, &content, NULL, NULL, &e));
    assert_ok(file_writer_commit(&writer, &e));
    options = (struct loaded_model_options){.model = place->path, .any_form = true};
    assert_ok(loaded_model_init(&file, &options, workers, &e));
    assert_string_equal(file.adapter.name, merged.adapter.name);
    assert_string_equal(file.adapter.config_xxh64, merged.adapter.config_xxh64);
    assert_string_equal(file.adapter.weights_xxh64, merged.adapter.weights_xxh64);
    loaded_model_deinit(&file);
    loaded_model_deinit(&merged);
    free(config);
}

/* Whoever wrote the file: what it says is cut, and printable. */
static void test_what_a_file_says_of_its_adapter(void **state) {
    struct place *place = *state;
    struct error e = {0};
    struct loaded_model file;
    char name[1000];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    name[3] = '\n';
    json_t *metadata = draft_metadata(&place->draft);
    json_object_set_new(metadata, "adapter", json_string(name));
    json_object_set_new(metadata, "adapter_weights_xxh64", json_string("0123456789abcdef0"));
    place_save(place);
    struct loaded_model_options options = {.model = place->path, .any_form = true, .any_weights = true};
    assert_ok(loaded_model_init(&file, &options, workers, &e));
    assert_int_equal(strlen(file.adapter.name), ADAPTER_NAME_BYTES - 1);
    assert_int_equal(file.adapter.name[3], '?');
    assert_string_equal(file.adapter.weights_xxh64, "0123456789abcdef");
    loaded_model_deinit(&file);
}

/* ---- false claims ---- */

/* Every tensor in turn keeps its name and shape, and loses its values. */
static void test_values_that_are_missing(void **state) {
    struct place *place = *state;
    size_t missing = 0;
    const char *name;
    json_t *part, *whole = json_deep_copy(place->draft.header);
    json_object_foreach(whole, name, part) {
        size_t rank = json_array_size(json_object_get(part, "shape"));
        bool has_values =
            rank > 0 && json_integer_value(json_array_get(json_object_get(part, "shape"), rank - 1)) > 0;
        if (!has_values || strncmp(name, MODEL_FILE_SECTIONS, strlen(MODEL_FILE_SECTIONS)) == 0) continue;
        json_t *offsets = json_object_get(part, "data_offsets"), *hollow = json_deep_copy(part);
        json_array_append_new(json_object_get(hollow, "shape"), json_integer(0));
        json_object_set_new(hollow, "data_offsets", json_pack("[i, i]", 0, 0));
        json_decref(place->draft.header);
        place->draft.header = json_deep_copy(whole);
        json_object_set_new(place->draft.header, name, hollow);
        json_int_t size =
            json_integer_value(json_array_get(offsets, 1)) - json_integer_value(json_array_get(offsets, 0));
        json_object_set_new(
            place->draft.header, "h.0.attn.masked_bias",
            json_pack("{s:s, s:[I], s:O}", "dtype", "U8", "shape", size, "data_offsets", offsets));
        /* Either the bytes that are left over or the values that are gone are noticed first. */
        place_save(place);
        struct error e = {0};
        struct loaded_model model;
        struct loaded_model_options options = {.model = place->path, .any_form = true, .any_weights = true};
        if (loaded_model_init(&model, &options, workers, &e) == STATUS_OK)
            fail_msg("'%s' was not missed", name);
        missing += strstr(e.text, "missing") != NULL;
    }
    assert_true(missing > 0);
    json_decref(whole);
}

static void test_a_tensor_that_is_gone_or_new(void **state) {
    struct place *place = *state;
    json_t *up = json_incref(entry(place, "h.0.mlp.c_fc.weight"));
    json_object_set(place->draft.header, "h.9.mlp.c_fc.weight", up);
    refused_draft(place, STATUS_OPTION, "h.9.mlp.c_fc.weight");
    json_object_del(place->draft.header, "h.0.mlp.c_fc.weight");
    refused_draft(place, STATUS_OPTION, "h.0.mlp.c_fc.weight");
    json_object_del(place->draft.header, "h.9.mlp.c_fc.weight");
    json_object_set_new(place->draft.header, "h.0.mlp.c_fc.weight", up);
    json_object_set_new(up, "shape", json_pack("[i, i, i]", 1 << 20, 1 << 20, 0));
    refused_draft(place, STATUS_OPTION, "h.0.mlp.c_fc.weight|shape");
}

/* A form, a type or a configuration that asks for other packed weights than there are. */
static void test_packed_weights_of_another_size(void **state) {
    struct place *place = *state;
    json_t *metadata = draft_metadata(&place->draft);
    json_object_set_new(metadata, "norm_form", json_string("layernorm"));
    refused_draft(place, STATUS_OPTION, "packed weights|bytes");
    json_object_set_new(metadata, "norm_form", json_string("rmsnorm"));
    json_object_set_new(metadata, "weights", json_string("f32"));
    refused_draft(place, STATUS_OPTION, "packed weights|bytes");
    json_object_set_new(metadata, "weights", json_string("int4"));
    refused_draft(place, STATUS_OPTION, "packed weights|bytes");
}

static void test_a_form_that_the_model_cannot_have(void **state) {
    struct place *place = *state;
    fixture_convert(test_source_path("tests/golden/placements/post"), NORM_FORM_LAYERNORM, WEIGHT_TYPE_F32,
                    workers, place->path);
    draft_deinit(&place->draft);
    draft_open(&place->draft, place->path);
    json_object_set_new(draft_metadata(&place->draft), "norm_form", json_string("rmsnorm"));
    refused_draft(place, STATUS_OPTION, "has no rmsnorm form");
}

static void set_shape(const struct place *place, const char *name, json_t *shape) {
    json_object_set_new(entry(place, name), "shape", shape);
}

/* Shapes cost no bytes, so a small file could claim a huge model. */
static void test_more_weights_than_could_be_packed(void **state) {
    struct place *place = *state;
    const json_int_t wide = 100000;
    draft_set_text(
        &place->draft, MODEL_FILE_CONFIG,
        "{\"model_type\": \"gpt2\", \"vocab_size\": 320, \"n_embd\": 32, \"n_head\": 4, \"n_layer\": 2, "
        "\"n_positions\": 64, \"n_inner\": 100000}");
    for (int layer = 0; layer < 2; layer++) {
        char name[64], buffer[64];
        snprintf(name, sizeof name, "h.%d.mlp.c_fc.bias", layer);
        snprintf(buffer, sizeof buffer, "h.%d.attn.masked_bias", layer);
        json_object_set(place->draft.header, buffer, entry(place, name)); /* its bytes must stay somebody's */
        json_object_del(place->draft.header, name);
        draft_append(&place->draft, name, "F32", (size_t)wide, 4);
        snprintf(name, sizeof name, "h.%d.mlp.c_fc.weight", layer);
        set_shape(place, name, json_pack("[i, I, i]", 32, wide, 0));
        snprintf(name, sizeof name, "h.%d.mlp.c_proj.weight", layer);
        set_shape(place, name, json_pack("[I, i, i]", wide, 32, 0));
    }
    refused_draft(place, STATUS_OPTION, "weights cannot be packed in");
}

static void test_texts_that_are_none(void **state) {
    struct place *place = *state;
    struct draft *d = &place->draft;
    draft_set_text(d, MODEL_FILE_CONFIG, "{\"model_type\": \"mixtral\"}");
    refused_draft(place, STATUS_OPTION, "mixtral");
    draft_set_text(d, MODEL_FILE_CONFIG, "{\"model_type\": ");
    refused_draft(place, STATUS_OPTION, "config.json|line 1");
    draft_set_text(d, MODEL_FILE_CONFIG, "{}");
    refused_draft(place, STATUS_OPTION, "config.json|model_type");
}

static void test_a_tokenizer_that_is_none(void **state) {
    struct place *place = *state;
    draft_set_text(&place->draft, MODEL_FILE_TOKENIZER, "{\"model\": {\"type\": \"WordNet\"}}");
    refused_draft(place, STATUS_OPTION, "tokenizer.json|WordNet");
}

int main(void) {
    struct error e;
    if (workers_create(2, &workers, &e) != STATUS_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_context),
        cmocka_unit_test(test_a_git_lfs_pointer),
        cmocka_unit_test_setup_teardown(test_what_is_rotated, setup_gpt2, teardown),
        cmocka_unit_test_setup_teardown(test_the_head_of_a_file, setup_gpt2, teardown),
        cmocka_unit_test_setup_teardown(test_what_may_be_chosen, setup_gpt2, teardown),
        cmocka_unit_test_setup_teardown(test_another_form_of_rmsnorm, setup_gpt2, teardown),
        cmocka_unit_test_setup_teardown(test_the_nearest_form, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_tokenizer_comes_along, setup_gpt2, teardown),
        cmocka_unit_test_setup_teardown(test_without_a_tokenizer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_adapter_beside_the_model, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_converted_file_says_what_was_merged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_a_file_says_of_its_adapter, setup_gpt2, teardown),
        cmocka_unit_test_setup_teardown(test_values_that_are_missing, setup_gpt2, teardown),
        cmocka_unit_test_setup_teardown(test_a_tensor_that_is_gone_or_new, setup_gpt2, teardown),
        cmocka_unit_test_setup_teardown(test_packed_weights_of_another_size, setup_gpt2, teardown),
        cmocka_unit_test_setup_teardown(test_a_form_that_the_model_cannot_have, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_weights_than_could_be_packed, setup_gpt2, teardown),
        cmocka_unit_test_setup_teardown(test_texts_that_are_none, setup_gpt2, teardown),
        cmocka_unit_test_setup_teardown(test_a_tokenizer_that_is_none, setup_gpt2, teardown),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    workers_destroy(workers);
    return failures;
}
