/* What a converted file gives back, and that nothing of it can be changed, cut or claimed unnoticed. */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/engine/modelfile/fixture.h"

static struct workers *workers;

static int setup(void **state) {
    *state = place_create(test_source_path("tests/golden/placements/pre"), NORM_FORM_CRMSNORM,
                          WEIGHT_TYPE_F32, workers);
    return 0;
}

static int teardown(void **state) {
    place_destroy(*state);
    return 0;
}

/* Refused with an error that names the file and, separated by '|', these words. */
static void refused(const struct place *place, enum status status, const char *words) {
    struct error e = {0};
    struct model_file p;
    enum status found = model_file_open(place->path, workers, NULL, NULL, &p, &e);
    if (found == STATUS_OK) fail_msg("opened, expected '%s'", words);
    assert_string_equal(e.where, place->path);
    if (found != status) fail_msg("status %s: %s; expected '%s'", status_name(found), e.text, words);
    assert_says(e.text, words);
}

static void refused_draft(const struct place *place, enum status status, const char *words) {
    place_save(place);
    refused(place, status, words);
}

/* ---- what is in it ---- */

static void assert_file(const char *name, const char *text, size_t length) {
    size_t expected;
    char *file = test_file_read(test_source_path("tests/golden/families/gpt2"), name, &expected);
    assert_int_equal(length, expected);
    assert_memory_equal(text, file, expected);
    free(file);
}

static void test_texts_and_form(void **state) {
    const struct place *place = *state;
    struct error e = {0};
    struct model_file p;
    fixture_convert(test_source_path("tests/golden/families/gpt2"), NORM_FORM_RMSNORM, WEIGHT_TYPE_INT8,
                    workers, place->path);
    assert_int_equal(model_file_look(place->path, NULL), STATUS_OK);
    assert_ok(model_file_open(place->path, workers, NULL, NULL, &p, &e));
    assert_int_equal(p.form, NORM_FORM_RMSNORM);
    assert_int_equal(p.weights, WEIGHT_TYPE_INT8);
    assert_file("config.json", p.texts.config, p.texts.config_length);
    assert_file("generation_config.json", p.texts.generation, p.texts.generation_length);
    assert_file("tokenizer.json", p.texts.tokenizer, p.texts.tokenizer_length);
    assert_int_equal((uintptr_t)p.packed % KERNEL_ALIGN, 0);
    model_file_close(&p);
}

/* Tensors that are read at run time have their values, the packed ones their shapes. */
static void test_tensors(void **state) {
    const struct place *place = *state;
    struct error e = {0};
    struct model_file p;
    struct checkpoint *original;
    size_t values = 0, shapes = 0;
    assert_ok(checkpoint_open(test_source_path("tests/golden/placements/pre"), &original, &e));
    assert_ok(model_file_open(place->path, workers, NULL, NULL, &p, &e));
    for (size_t i = 0; i < checkpoint_count(original); i++) {
        const struct tensor *from = checkpoint_at(original, i),
                            *to = checkpoint_find(p.checkpoint, from->name);
        assert_non_null(to);
        assert_int_equal(to->rank, from->rank);
        assert_int_equal(to->dtype, from->dtype);
        size_t count = 1;
        for (size_t axis = 0; axis < from->rank; axis++) {
            assert_int_equal(to->shape[axis], from->shape[axis]);
            count *= from->shape[axis];
        }
        if (to->data) assert_memory_equal(to->data, from->data, count * dtype_size(from->dtype));
        if (to->data)
            values++;
        else
            shapes++;
    }
    assert_true(values > 2 && shapes > 2);
    assert_int_equal(checkpoint_count(p.checkpoint), values + shapes);
    model_file_close(&p);
    checkpoint_close(original);
}

/* The format is one that others read. */
static void test_it_is_a_safetensors_file(void **state) {
    const struct place *place = *state;
    struct error e = {0};
    size_t length;
    char *bytes = test_file_read("", place->path, &length);
    uint64_t header;
    memcpy(&header, bytes, 8);
    assert_int_equal((8 + header) % MODEL_FILE_PAGE, 0);
    assert_int_equal(strncmp(bytes + 8, MODEL_FILE_START "1" MODEL_FILE_SIZE,
                             strlen(MODEL_FILE_START "1" MODEL_FILE_SIZE)),
                     0);
    struct draft same;
    draft_open(&same, place->path);
    size_t sealed_length;
    unsigned char *sealed = draft_seal(&same, (8 + header) / MODEL_FILE_PAGE, &sealed_length);
    assert_int_equal(sealed_length, length);
    struct model_file p;
    draft_save(&same, place->folder, "model");
    assert_ok(model_file_open(place->path, workers, NULL, NULL, &p, &e));
    model_file_close(&p);
    draft_deinit(&same);
    free(sealed);
    free(bytes);
}

static void count_reports(void *context, double share) {
    assert_true(share > 0 && share <= 1);
    ++*(size_t *)context;
}

static void test_progress_is_reported(void **state) {
    const struct place *place = *state;
    struct error e = {0};
    struct model_file p;
    struct workers *alone;
    size_t reports = 0;
    assert_ok(workers_create(1, &alone, &e));
    assert_ok(model_file_open(place->path, alone, count_reports, &reports, &p, &e));
    assert_true(reports > 0);
    model_file_close(&p);
    workers_destroy(alone);
}

/* ---- damage ---- */

/* Of the bytes of a file: in part some, in each of its parts. */
enum { EVERY = TEST_SHARE ? 7 : 1 };

/* Every byte of the header and of the checksums, and every 257th of the rest. */
static void test_a_changed_byte(void **state) {
    const struct place *place = *state;
    size_t length, changed = 0;
    unsigned char *bytes = (unsigned char *)test_file_read("", place->path, &length);
    uint64_t header;
    memcpy(&header, bytes, 8);
    int fd = open(place->path, O_RDWR);
    for (size_t i = 0; i < length; i += EVERY * (i < 8 + header || i + 64 > length ? 1 : 257)) {
        struct error e = {0};
        struct model_file p;
        unsigned char other = bytes[i] ^ (unsigned char)(1u << i % 8);
        assert_int_equal(pwrite(fd, &other, 1, (off_t)i), 1);
        if (model_file_open(place->path, workers, NULL, NULL, &p, &e) == STATUS_OK)
            fail_msg("byte %zu was changed unseen", i);
        assert_string_equal(e.where, place->path);
        assert_int_equal(pwrite(fd, bytes + i, 1, (off_t)i), 1);
        changed++;
    }
    assert_true(changed > (4096 + 100) / EVERY);
    close(fd);
    free(bytes);
}

static void test_the_damaged_part_is_named(void **state) {
    struct place *place = *state;
    static const char *const parts[] = {MODEL_FILE_PACKED, MODEL_FILE_TOKENIZER};
    size_t length, size;
    for (size_t i = 0; i < 2; i++) {
        unsigned char *bytes = draft_seal(&place->draft, 16, &length);
        bytes[16 * MODEL_FILE_PAGE +
              (size_t)(draft_part(&place->draft, parts[i], &size) - place->draft.data) + size - 1]++;
        test_file_write(place->folder, "model", bytes, length);
        refused(place, STATUS_MALFORMED, "damaged");
        refused(place, STATUS_MALFORMED, parts[i]);
        free(bytes);
    }
    unsigned char *bytes = draft_seal(&place->draft, 16, &length);
    bytes[length - 1]++;
    test_file_write(place->folder, "model", bytes, length);
    refused(place, STATUS_MALFORMED, "damaged|table of checksums");
    bytes[length - 1]--;
    bytes[16 * MODEL_FILE_PAGE - 1] = '\n'; /* as good for a parser */
    test_file_write(place->folder, "model", bytes, length);
    refused(place, STATUS_MALFORMED, "damaged|bytes 0 to 65536|the header");
    free(bytes);
}

static void test_a_file_that_is_cut_short(void **state) {
    struct place *place = *state;
    size_t length;
    char *bytes = test_file_read("", place->path, &length);
    for (size_t size = 0; size < length; size += size < 300 ? 1 : 977) {
        test_file_write(place->folder, "model", bytes, size);
        refused(place, STATUS_MALFORMED, size < 100 ? "" : "cut short");
    }
    test_file_write(place->folder, "model", bytes, length - 1);
    refused(place, STATUS_MALFORMED, "cut short");
    bytes = realloc(bytes, length + 8);
    memset(bytes + length, 0, 8);
    test_file_write(place->folder, "model", bytes, length + 8);
    refused(place, STATUS_MALFORMED, "longer");
    free(bytes);
}

/* ---- other files, versions and layouts ---- */

static void test_files_that_are_something_else(void **state) {
    struct place *place = *state;
    struct error e = {0};
    struct model_file p;
    static const char *const others[] = {"", "x", "GGUF\3\0\0\0", "{\"model_type\": \"gpt2\"}"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        test_file_write(place->folder, "model", others[i], strlen(others[i]));
        refused(place, STATUS_MALFORMED, "neither a converted model");
        assert_int_not_equal(model_file_look(place->path, NULL), STATUS_OK);
    }
    size_t length;
    char *bytes =
        test_file_read(test_source_path("tests/golden/placements/pre"), "model.safetensors", &length);
    test_file_write(place->folder, "model", bytes, length);
    refused(place, STATUS_MALFORMED, "neither a converted model");
    assert_int_not_equal(model_file_look(place->path, NULL), STATUS_OK);
    free(bytes);
    unlink(place->path);
    assert_int_equal(model_file_open(place->path, workers, NULL, NULL, &p, &e), STATUS_NOT_FOUND);
    assert_int_not_equal(model_file_look(place->path, NULL), STATUS_OK);
    assert_int_not_equal(model_file_look(place->folder, NULL), STATUS_OK);
}

static void set(const struct place *place, const char *key, const char *value) {
    json_object_set_new(draft_metadata(&place->draft), key, json_string(value));
}

/* Told and not relied on: what is no number with a hash is no calibration, and the file runs all the same. */
static void test_calibration(void **state) {
    struct place *place = *state;
    static const char hash[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    static const struct {
        const char *tokens, *hash;
        size_t expected;
    } cases[] = {{"16384", hash, 16384},
                 {"", hash, 0},
                 {"-5", hash, 0},
                 {"16384 ", hash, 0},
                 {"16384", "", 0},
                 {"16384", "0123456789abcdef", 0},
                 {"16384", "\001", 0},
                 {"99999999999999999999", hash, 0},
                 {"16384", "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error e = {0};
        struct model_file p;
        set(place, "calibration_tokens", cases[i].tokens);
        set(place, "calibration_text_sha256", cases[i].hash);
        place_save(place);
        assert_ok(model_file_open(place->path, workers, NULL, NULL, &p, &e));
        assert_int_equal(p.calibration.tokens, cases[i].expected);
        assert_string_equal(p.calibration.text_sha256, cases[i].expected ? hash : "");
        model_file_close(&p);
    }
}

/* Ascending numbers of layers, beside int8 alone. */
static void test_massive_layers(void **state) {
    struct place *place = *state;
    static const char *const refused_lists[] = {"x",  ",1",  "1,",  "1,,2", "1 ,2",
                                                "-1", "2,1", "1,1", "1024", "00001"};
    struct error e = {0};
    struct model_file p;
    set(place, "massive_mlps", "1");
    refused_draft(place, STATUS_MALFORMED, "massive activations|'1'|int8 alone");
    set(place, "weights", "int8");
    for (size_t i = 0; i < sizeof refused_lists / sizeof *refused_lists; i++) {
        set(place, "massive_mlps", refused_lists[i]);
        refused_draft(place, STATUS_MALFORMED, "massive activations|ascending numbers");
    }
    set(place, "massive_mlps", "0,2,1023");
    place_save(place);
    assert_ok(model_file_open(place->path, workers, NULL, NULL, &p, &e));
    for (size_t i = 0; i < MODEL_LAYERS_MAX; i++)
        assert_int_equal(p.massive[i], i == 0 || i == 2 || i == 1023);
    model_file_close(&p);
}

/* Different numbers, beside int8 that is rotated. */
static void test_quiet_channels(void **state) {
    struct place *place = *state;
    static const char *const refused_lists[] = {"x", ",1", "1,", "1,,2", "1 ,2", "-1", "2,1,2", "000001"};
    struct error e = {0};
    struct model_file p;
    set(place, "quiet_channels", "1");
    refused_draft(place, STATUS_MALFORMED, "quiet channels|'1'|int8");
    set(place, "weights", "int8");
    refused_draft(place, STATUS_MALFORMED, "quiet channels|'1'|rotated");
    set(place, "layout", PACKED_LAYOUT_ROTATED);
    for (size_t i = 0; i < sizeof refused_lists / sizeof *refused_lists; i++) {
        set(place, "quiet_channels", refused_lists[i]);
        refused_draft(place, STATUS_MALFORMED, "quiet channels|different numbers");
    }
    set(place, "quiet_channels", "507,0,99999");
    place_save(place);
    assert_ok(model_file_open(place->path, workers, NULL, NULL, &p, &e));
    assert_int_equal(p.quiet_count, 3);
    assert_true(p.quiet[0] == 507 && p.quiet[1] == 0 && p.quiet[2] == 99999);
    model_file_close(&p);
}

static void test_other_versions_and_layouts(void **state) {
    struct place *place = *state;
    set(place, "version", "2");
    refused_draft(place, STATUS_UNSUPPORTED, "version 2|version 1");
    set(place, "version", "999999999");
    refused_draft(place, STATUS_UNSUPPORTED, "version 999999999");
    set(place, "version", "x");
    refused_draft(place, STATUS_MALFORMED, "no format version");
    set(place, "version", "1");
    set(place, "layout", "panels64-9");
    refused_draft(place, STATUS_UNSUPPORTED, "'panels64-9'|'" PACKED_LAYOUT "'|convert");
    set(place, "layout", PACKED_LAYOUT_ROTATED);
    set(place, "weights", "f32");
    refused_draft(place, STATUS_MALFORMED, "rotated weights in f32|only int8 and int4 are");
    set(place, "layout", PACKED_LAYOUT PACKED_LAYOUT_HEAD4);
    refused_draft(place, STATUS_MALFORMED, "head in int4|weights in f32|only int4");
    set(place, "layout", PACKED_LAYOUT PACKED_LAYOUT_HEAD4 "2");
    refused_draft(place, STATUS_UNSUPPORTED, "'" PACKED_LAYOUT PACKED_LAYOUT_HEAD4 "2'|convert");
    json_object_del(draft_metadata(&place->draft), "layout");
    refused_draft(place, STATUS_UNSUPPORTED, "layout ''");
    set(place, "layout", PACKED_LAYOUT);
    set(place, "norm_form", "batchnorm");
    refused_draft(place, STATUS_UNSUPPORTED, "'batchnorm'");
    set(place, "norm_form", "crmsnorm");
    set(place, "weights", "int3");
    refused_draft(place, STATUS_UNSUPPORTED, "'int3'");
}

/* ---- claims that are false, under valid checksums ---- */

static json_t *entry(const struct place *place, const char *name) {
    json_t *found = json_object_get(place->draft.header, name);
    assert_non_null(found);
    return found;
}

static void test_false_parts(void **state) {
    struct place *place = *state;
    json_t *packed = entry(place, MODEL_FILE_PACKED);
    json_int_t size = json_integer_value(json_array_get(json_object_get(packed, "shape"), 0));
    json_object_set_new(packed, "dtype", json_string("F4")); /* twice as many elements as bytes */
    json_object_set_new(packed, "shape", json_pack("[I]", size * 2));
    json_t *config = entry(place, MODEL_FILE_CONFIG);
    refused_draft(place, STATUS_MALFORMED, "list of bytes");
    json_object_set_new(packed, "dtype", json_string("F32"));
    json_object_set_new(packed, "shape", json_pack("[I]", size / 4));
    refused_draft(place, STATUS_MALFORMED, "list of bytes");
    json_object_set_new(packed, "dtype", json_string("U8"));
    json_object_set_new(packed, "shape", json_pack("[I, I]", (json_int_t)4, size / 4));
    refused_draft(place, STATUS_MALFORMED, "list of bytes");
    json_object_set_new(packed, "shape", json_pack("[I]", size));
    json_object_set(place->draft.header, MODEL_FILE_SECTIONS "surprise", config);
    json_object_del(place->draft.header, MODEL_FILE_CONFIG);
    refused_draft(place, STATUS_MALFORMED, "surprise|not a part of this version");
}

static void test_missing_parts(void **state) {
    struct place *place = *state;
    static const char *const names[] = {MODEL_FILE_PACKED, MODEL_FILE_CONFIG};
    for (size_t i = 0; i < 2; i++) {
        json_t *kept = json_incref(entry(place, names[i]));
        json_object_set(place->draft.header, "some.buffer", kept); /* all bytes must belong to something */
        json_object_del(place->draft.header, names[i]);
        refused_draft(place, STATUS_MALFORMED, "has no");
        json_object_del(place->draft.header, "some.buffer");
        json_object_set_new(place->draft.header, names[i], kept);
    }
}

/* The packed part moves by a byte, and a part of one byte takes its place. */
static void test_weights_out_of_line(void **state) {
    struct place *place = *state;
    struct draft *d = &place->draft;
    const char *name;
    json_t *part;
    d->data = realloc(d->data, d->size + 1);
    memmove(d->data + 1, d->data, d->size++);
    json_object_foreach(d->header, name, part) {
        json_t *offsets = json_object_get(part, "data_offsets");
        json_int_t begin = json_integer_value(json_array_get(offsets, 0)),
                   end = json_integer_value(json_array_get(offsets, 1));
        if (offsets && end > begin)
            json_object_set_new(part, "data_offsets", json_pack("[I, I]", begin + 1, end + 1));
    }
    json_object_set_new(d->header, "pad",
                        json_pack("{s:s, s:[i], s:[i, i]}", "dtype", "U8", "shape", 1, "data_offsets", 0, 1));
    refused_draft(place, STATUS_MALFORMED, "starts at byte|multiple of 64");
}

/* Else the fuzz target sees one refusal again and again: tests/fuzz/make_model_seeds.py makes them anew. */
static void test_seeds_of_the_fuzz_target_have_the_layout(void **state) {
    (void)state;
    static const char start[] = "\"layout\":\"" PACKED_LAYOUT;
    const char *folder = test_source_path("tests/fuzz/corpus/fuzz_model_file");
    size_t seeds = 0, length;
    DIR *corpus = opendir(folder);
    assert_non_null(corpus);
    for (const struct dirent *entry; (entry = readdir(corpus));) {
        if (entry->d_name[0] == '.') continue;
        char *bytes = fixture_text(folder, entry->d_name, &length);
        assert_non_null(bytes);
        if (!memmem(bytes, length, start, sizeof start - 1)) fail_msg("%s has another layout", entry->d_name);
        free(bytes);
        seeds++;
    }
    closedir(corpus);
    assert_true(seeds >= 5);
}

int main(void) {
    struct error e;
    if (workers_create(2, &workers, &e) != STATUS_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeds_of_the_fuzz_target_have_the_layout),
        cmocka_unit_test_setup_teardown(test_texts_and_form, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tensors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_it_is_a_safetensors_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_progress_is_reported, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_changed_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_damaged_part_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_that_is_cut_short, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files_that_are_something_else, setup, teardown),
        cmocka_unit_test_setup_teardown(test_calibration, setup, teardown),
        cmocka_unit_test_setup_teardown(test_massive_layers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_quiet_channels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_versions_and_layouts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_false_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_weights_out_of_line, setup, teardown),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    workers_destroy(workers);
    return failures;
}
