/* A model's file that is cut short while the program reads from its mapping: one line that names the file,
 * and exit code 1, whichever thread runs into it; and where the file is not needed any more, nothing at all. */
#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/http/support_command.h"
#include "tests/http/support_http.h"
#include "tests/support/empty_place.h"

#define TALES   PRENORM_SOURCE_DIR "/deploy/models/tales"
#define SHARDED PRENORM_SOURCE_DIR "/tests/golden/families/bloom-sharded"
#define BODY    "{\"prompt\":\"Once upon a time\",\"max_tokens\":8,\"temperature\":0}"

static void copy_model(const struct empty_place *place, const char *from) {
    char line[4000];
    snprintf(line, sizeof line, "cp -r '%s' '%s'", from, place->model);
    assert_int_equal(system(line), 0);
}

static void cut(const struct empty_place *place, const char *file) {
    char path[2400];
    snprintf(path, sizeof path, "%s%s%s", place->model, *file ? "/" : "", file);
    assert_int_equal(truncate(path, 0), 0);
}

/* The thread sanitizer takes every thread that lives at _exit for a leak. */
#define SETTING "TSAN_OPTIONS=report_thread_leaks=0"

static struct daemon serve(struct command *c, const struct empty_place *place) {
    *c = (struct command){.words = {PRENORMD, "serve", "--model", place->model, "--port", "0", "--threads",
                                    "2", "--no-prefix-cache"},
                          .setting = SETTING};
    command_start(c);
    if (!command_wait_for(c, "Z info  ready: ")) fail_msg("the daemon has ended");
    char *log = test_file_read(c->folder, "err", NULL);
    struct daemon d = {.port = atoi(strstr(log, "127.0.0.1:") + 10)};
    free(log);
    return d;
}

static void check_end(struct command *c, const char *file) {
    char expected[400];
    snprintf(expected, sizeof expected, "%s: the file was cut short, or its disk failed", file);
    command_wait(c);
    if (!WIFEXITED(c->status) || WEXITSTATUS(c->status) != 1 || command_complaints(c) != 1 ||
        !strstr(c->error_text, expected))
        fail_msg("status %d, expected 1 and '%s', found: %s", c->status, expected, c->error_text);
    command_free(c);
}

/* A request makes it read. */
static void check_ends_when_asked(struct command *c, const struct daemon *d, const char *file) {
    struct answer a = http_post(d, "/v1/completions", BODY);
    assert_true(a.error != 0); /* the connection broke */
    answer_free(&a);
    check_end(c, file);
}

/* Rows of the embedding are read as tokens come. */
static void test_checkpoint_of_a_serving_daemon(void **state) {
    struct empty_place *place = *state;
    struct command c;
    copy_model(place, TALES);
    struct daemon d = serve(&c, place);
    cut(place, "model.safetensors");
    check_ends_when_asked(&c, &d, "/model/model.safetensors");
}

static void test_converted_file_of_a_serving_daemon(void **state) {
    struct empty_place *place = *state;
    struct command c = {.words = {PRENORMD, "convert", "--model", TALES, "--out", place->model}};
    assert_int_equal(command_run(&c), 0);
    command_free(&c);
    struct daemon d = serve(&c, place);
    cut(place, "");
    check_ends_when_asked(&c, &d, "/model");
}

/* The shard in which a tensor lies. */
static void find_shard(const struct empty_place *place, const char *tensor, char *out, size_t size) {
    char *text = test_file_read(place->model, "model.safetensors.index.json", NULL);
    json_t *index = json_loads(text, 0, NULL);
    const char *name = json_string_value(json_object_get(json_object_get(index, "weight_map"), tensor));
    assert_non_null(name);
    snprintf(out, size, "%s", name);
    json_decref(index);
    free(text);
}

static void test_shards_of_a_serving_daemon(void **state) {
    struct empty_place *place = *state;
    struct command c;
    char embedding[256], last[256], expected[300];
    copy_model(place, SHARDED);
    find_shard(place, "transformer.word_embeddings.weight", embedding, sizeof embedding);
    find_shard(place, "transformer.ln_f.weight", last, sizeof last);
    assert_string_not_equal(embedding, last);
    struct daemon d = serve(&c, place);
    json_t *before = complete(&d, BODY);
    cut(place, last); /* packed when it was loaded */
    json_t *after = complete(&d, BODY);
    assert_string_equal(choice_text(before, 0), choice_text(after, 0));
    json_decref(before);
    json_decref(after);
    cut(place, embedding);
    snprintf(expected, sizeof expected, "/model/%s", embedding);
    check_ends_when_asked(&c, &d, expected);
}

/* Also those of libraries: a fault that is blocked ends the process past every handler. */
static void test_no_thread_blocks_its_own_faults(void **state) {
#ifdef __SANITIZE_THREAD__
    skip(); /* it has a thread of its own, which blocks all */
#endif
    struct empty_place *place = *state;
    static const int faults[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    struct command c;
    char path[300];
    size_t threads = 0;
    copy_model(place, TALES);
    struct daemon d = serve(&c, place);
    json_decref(complete(&d, BODY));
    snprintf(path, sizeof path, "/proc/%d/task", (int)c.pid);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.') continue;
        char line[256] = "";
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/status", (int)c.pid, entry->d_name);
        FILE *file = fopen(path, "re");
        assert_non_null(file);
        while (fgets(line, sizeof line, file) && strncmp(line, "SigBlk:", 7) != 0) continue;
        fclose(file);
        assert_int_equal(strncmp(line, "SigBlk:", 7), 0);
        unsigned long long blocked = strtoull(line + 7, NULL, 16);
        for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
            assert_false(blocked >> (faults[i] - 1) & 1);
        threads++;
    }
    closedir(folder);
    assert_true(threads >= 4); /* loop, scheduler, a compute thread, libuv's */
    kill(c.pid, SIGTERM);
    command_wait(&c);
    assert_true(WIFEXITED(c.status) && WEXITSTATUS(c.status) == 0);
    command_free(&c);
}

/* ---- while it loads ---- */

/* A model of GPT-2's shape, large enough that packing it takes a while; its weights are a hole in the file. */
enum { WIDTH = 640, LAYERS = 8, CONTEXT = 64, VOCABULARY = 4096 };

struct header {
    char text[32768];
    size_t length, offset;
};

static void add_tensor(struct header *h, int layer, const char *name, size_t rows, size_t columns) {
    char prefix[16] = "", shape[48];
    size_t bytes = rows * (columns ? columns : 1) * 4;
    if (layer >= 0) snprintf(prefix, sizeof prefix, "h.%d.", layer);
    if (columns)
        snprintf(shape, sizeof shape, "%zu,%zu", rows, columns);
    else
        snprintf(shape, sizeof shape, "%zu", rows);
    h->length +=
        (size_t)snprintf(h->text + h->length, sizeof h->text - h->length,
                         "%s\"%s%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                         h->length > 1 ? "," : "", prefix, name, shape, h->offset, h->offset + bytes);
    h->offset += bytes;
}

static void add_layer(struct header *h, int layer) {
    add_tensor(h, layer, "ln_1.weight", WIDTH, 0);
    add_tensor(h, layer, "ln_1.bias", WIDTH, 0);
    add_tensor(h, layer, "attn.c_attn.weight", WIDTH, 3 * WIDTH);
    add_tensor(h, layer, "attn.c_attn.bias", 3 * WIDTH, 0);
    add_tensor(h, layer, "attn.c_proj.weight", WIDTH, WIDTH);
    add_tensor(h, layer, "attn.c_proj.bias", WIDTH, 0);
    add_tensor(h, layer, "ln_2.weight", WIDTH, 0);
    add_tensor(h, layer, "ln_2.bias", WIDTH, 0);
    add_tensor(h, layer, "mlp.c_fc.weight", WIDTH, 4 * WIDTH);
    add_tensor(h, layer, "mlp.c_fc.bias", 4 * WIDTH, 0);
    add_tensor(h, layer, "mlp.c_proj.weight", 4 * WIDTH, WIDTH);
    add_tensor(h, layer, "mlp.c_proj.bias", WIDTH, 0);
}

static void write_large_model(const struct empty_place *place) {
    static struct header h;
    char config[512], path[1400];
    h = (struct header){.text = "{", .length = 1};
    copy_model(place, TALES);
    add_tensor(&h, -1, "wte.weight", VOCABULARY, WIDTH);
    add_tensor(&h, -1, "wpe.weight", CONTEXT, WIDTH);
    for (int layer = 0; layer < LAYERS; layer++) add_layer(&h, layer);
    add_tensor(&h, -1, "ln_f.weight", WIDTH, 0);
    add_tensor(&h, -1, "ln_f.bias", WIDTH, 0);
    h.length += (size_t)snprintf(h.text + h.length, sizeof h.text - h.length, "}");
    snprintf(config, sizeof config,
             "{\"model_type\":\"gpt2\",\"n_embd\":%d,\"n_head\":10,\"n_layer\":%d,\"n_positions\":%d,"
             "\"vocab_size\":%d,\"bos_token_id\":0,\"eos_token_id\":0}",
             WIDTH, LAYERS, CONTEXT, VOCABULARY);
    test_file_write(place->model, "config.json", config, strlen(config));
    snprintf(path, sizeof path, "%s/model.safetensors", place->model);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    uint64_t length = h.length; /* little-endian, as all machines that this runs on */
    assert_int_equal(fwrite(&length, sizeof length, 1, file), 1);
    assert_int_equal(fwrite(h.text, h.length, 1, file), 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(truncate(path, (off_t)(8 + h.length + h.offset)), 0);
}

/* Stopped while it packs, so that the file is cut under its hands; where it was already through, a request
 * shows it. */
static void test_checkpoint_while_it_loads(void **state) {
    struct empty_place *place = *state;
    write_large_model(place);
    struct command c = {
        .words = {PRENORMD, "serve", "--model", place->model, "--port", "0", "--threads", "2"},
        .setting = SETTING};
    command_start(&c);
    assert_true(command_wait_for(&c, "model: converting"));
    kill(c.pid, SIGSTOP);
    int status;
    assert_int_equal(waitpid(c.pid, &status, WUNTRACED), c.pid);
    assert_true(WIFSTOPPED(status));
    cut(place, "model.safetensors");
    kill(c.pid, SIGCONT);
    if (command_wait_for(&c, "Z info  ready: ")) {
        char *log = test_file_read(c.folder, "err", NULL);
        struct daemon d = {.port = atoi(strstr(log, "127.0.0.1:") + 10)};
        free(log);
        check_ends_when_asked(&c, &d, "/model/model.safetensors");
    } else {
        check_end(&c, "/model/model.safetensors");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_checkpoint_of_a_serving_daemon, empty_place_setup,
                                        empty_place_teardown),
        cmocka_unit_test_setup_teardown(test_converted_file_of_a_serving_daemon, empty_place_setup,
                                        empty_place_teardown),
        cmocka_unit_test_setup_teardown(test_shards_of_a_serving_daemon, empty_place_setup,
                                        empty_place_teardown),
        cmocka_unit_test_setup_teardown(test_no_thread_blocks_its_own_faults, empty_place_setup,
                                        empty_place_teardown),
        cmocka_unit_test_setup_teardown(test_checkpoint_while_it_loads, empty_place_setup,
                                        empty_place_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
