/* Options that cannot be had, alone or beside others: each ends with exit code 2, which a service manager does not
 * answer with another start, and one line that says which option it is and who set it. */
#include "tests/support/test_support.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MODEL PRENORM_SOURCE_DIR "/deploy/models/tales"

#if defined(__x86_64__)
#define FOREIGN "neon"
#else
#define FOREIGN "avx2"
#endif

static char *folder;

/* The exit code of a line for the shell, run in our folder. *errors is the caller's. */
static int run(const char *environment, const char *arguments, char **errors) {
    char line[4096];
    snprintf(line, sizeof line, "cd '%s' && env %s '%s' %s >out 2>err </dev/null", folder, environment,
             PRENORMD, arguments);
    int status = system(line);
    assert_true(WIFEXITED(status));
    *errors = test_file_read(folder, "err", NULL);
    return WEXITSTATUS(status);
}

static void expect(const char *environment, const char *arguments, int code, const char *beginning) {
    char *errors;
    int found = run(environment, arguments, &errors);
    bool is_one_line = strcspn(errors, "\n") + 1 == strlen(errors);
    if (found != code || !is_one_line || strncmp(errors, beginning, strlen(beginning)) != 0)
        fail_msg("%s prenormd %s: expected %d and '%s', found %d and '%s'", environment, arguments, code,
                 beginning, found, errors);
    free(errors);
}

/* Each command with a model that it accepts. */
#define SERVE    "serve --log-level error --port 0 --model " MODEL " "
#define GENERATE "generate --log-level error --model " MODEL " x "
#define VERIFY   "verify --log-level error --model " MODEL " "
#define BENCH    "bench --log-level error --model " MODEL " "
#define CONVERT  "convert --log-level error --out out.prenorm --model " MODEL " "

static const struct {
    const char *environment, *arguments, *beginning;
} mistakes[] = {
    /* an instruction set of another architecture */
    {"", SERVE "--isa " FOREIGN, "prenormd: --isa " FOREIGN ": "},
    {"", GENERATE "--isa " FOREIGN, "prenormd: --isa " FOREIGN ": "},
    {"", VERIFY "--isa " FOREIGN, "prenormd: --isa " FOREIGN ": "},
    {"", BENCH "--isa " FOREIGN, "prenormd: --isa " FOREIGN ": "},
    {"", "bench --kernels --log-level error --isa " FOREIGN, "prenormd: --isa " FOREIGN ": "},
    {"PRENORM_ISA=" FOREIGN, SERVE, "prenormd: --isa " FOREIGN " (set by PRENORM_ISA): "},
    {"", SERVE "--config isa.json", "prenormd: --isa " FOREIGN " (set by isa in isa.json): "},
    /* lengths that exclude each other */
    {"", GENERATE "--min-tokens 5 --max-tokens 4", "prenormd: --min-tokens 5: more than --max-tokens 4"},
    /* ids and what belongs to them */
    {"", GENERATE "--logit-bias 5", "prenormd: --logit-bias 5: '5' is not ID=BIAS"},
    {"", GENERATE "--logit-bias 5=1e9", "prenormd: --logit-bias 5=1e9: '5=1e9' is not ID=BIAS"},
    {"", GENERATE "--logit-bias 5=1 --logit-bias 05=2",
     "prenormd: --logit-bias 5=1,05=2: token 5 is there twice"},
    {"", GENERATE "--stop-token-ids -1", "prenormd: --stop-token-ids -1: '-1' is not a token id"},
    {"PRENORM_ALLOWED_TOKEN_IDS=99999999999", GENERATE,
     "prenormd: --allowed-token-ids 99999999999 (set by PRENORM_ALLOWED_TOKEN_IDS): '99999999999' is not a "
     "token id"},
    {"", GENERATE "--stop-token-ids 4096",
     "prenormd: --stop-token-ids 4096: token id 4096 is not in the vocabulary of 4096"},
    {"", GENERATE "--logit-bias 4096=1",
     "prenormd: --logit-bias 4096=1: token id 4096 is not in the vocabulary of 4096"},
    {"PRENORM_ALLOWED_TOKEN_IDS=2147483647", GENERATE,
     "prenormd: --allowed-token-ids 2147483647 (set by PRENORM_ALLOWED_TOKEN_IDS): token id 2147483647 is "
     "not in the vocabulary"},
    {"", GENERATE "--allowed-token-ids 0 --min-tokens 2",
     "prenormd: --allowed-token-ids 0: there may be no token left to sample"},
    /* openblas has f32 alone */
    {"", SERVE "--matmul openblas --weights int8", "prenormd: --weights int8: needs --matmul own"},
    {"", GENERATE "--matmul openblas --weights bf16", "prenormd: --weights bf16: needs --matmul own"},
    {"", BENCH "--matmul openblas --weights int4", "prenormd: --weights int4: needs --matmul own"},
    {"PRENORM_WEIGHTS=int8", GENERATE "--matmul openblas",
     "prenormd: --weights int8 (set by PRENORM_WEIGHTS): needs --matmul own"},
    /* norms that are left out give no text */
    {"", SERVE "--norm-form none", "prenormd: --norm-form none: "},
    {"PRENORM_NORM_FORM=none", GENERATE, "prenormd: --norm-form none (set by PRENORM_NORM_FORM): "},
    {"", CONVERT "--norm-form none", "prenormd: --norm-form none: "},
    /* the cache */
    {"", SERVE "--kv-page-tokens 17", "prenormd: --kv-page-tokens 17: "},
    {"PRENORM_KV_PAGE_TOKENS=17", GENERATE,
     "prenormd: --kv-page-tokens 17 (set by PRENORM_KV_PAGE_TOKENS): "},
    {"", GENERATE "--kv-cache-mib 1", "prenormd: --kv-cache-mib 1: "},
    {"", SERVE "--config cache.json", "prenormd: --kv-cache-mib 1 (set by kv-cache-mib in cache.json): "},
    /* what must be matched: its file is read before the model, of which the log would tell */
    {"", "generate --model " MODEL " --json-schema none x", "prenormd: --json-schema none: cannot be read: "},
    {"PRENORM_GRAMMAR=none", "generate --model " MODEL " x",
     "prenormd: --grammar none (set by PRENORM_GRAMMAR): cannot be read: "},
    {"", "generate --model " MODEL " --regex a --grammar file x", "prenormd: --regex a: only one of "},
    {"", GENERATE "--json-schema file", "prenormd: --json-schema file: "},
    {"", GENERATE "--regex '('", "prenormd: --regex (: "},
    /* the model */
    {"", GENERATE "--context 1000000", "prenormd: --context 1000000: "},
    {"PRENORM_CONTEXT=1000000", SERVE, "prenormd: --context 1000000 (set by PRENORM_CONTEXT): "},
    {"", "verify --log-level error --model file", "prenormd: --model file: "},
    {"", "convert --log-level error --out out.prenorm --model file", "prenormd: --model file: "},
    {"PRENORM_VERIFY=true", "generate --log-level error --model converted x",
     "prenormd: --verify true (set by PRENORM_VERIFY): "},
    {"", "generate --log-level error --model converted --matmul openblas x", "prenormd: --matmul openblas: "},
    {"", "generate --log-level error --model file x", "prenormd: --model file: "},
    {"PRENORM_MODEL=.", "generate --log-level error x",
     "prenormd: --model . (set by PRENORM_MODEL): ./config.json: "},
    {"", VERIFY "--text empty", "prenormd: --text empty: "},
    /* files that are not there, or not what they should be */
    {"", "serve --log-level error --port 0 --model none", "prenormd: --model none: cannot be read: "},
    {"PRENORM_MODEL=none", "generate --log-level error x",
     "prenormd: --model none (set by PRENORM_MODEL): cannot be read: "},
    {"", "verify --log-level error --model none", "prenormd: --model none: cannot be read: "},
    {"", "convert --log-level error --out out.prenorm --model none",
     "prenormd: --model none: cannot be read: "},
    {"", "bench --log-level error --model none", "prenormd: --model none: cannot be read: "},
    {"", VERIFY "--text none", "prenormd: --text none: cannot be read: "},
    {"", SERVE "--api-key-file none", "prenormd: --api-key-file none: "},
    {"", SERVE "--api-key-file empty", "prenormd: --api-key-file empty: has no key"},
    {"PRENORM_API_KEY_FILE=none", SERVE, "prenormd: --api-key-file none (set by PRENORM_API_KEY_FILE): "},
    {"", SERVE "--tls-cert none --tls-key file", "prenormd: --tls-cert none: "},
    {"", SERVE "--tls-cert file --tls-key none", "prenormd: --tls-key none: "},
    {"", SERVE "--tls-cert file --tls-key file", "prenormd: --tls-cert file: is not a certificate"},
    {"", SERVE "--speculate ngram --matmul openblas", "prenormd: --speculate ngram: needs --matmul own"},
    /* benches that would pass an option over */
    {"", BENCH "--shape gpt2-124m",
     "prenormd: --shape gpt2-124m: is for random weights, and --model names a model"},
    {"PRENORM_MODEL=" MODEL, "bench --shape gpt2-124m",
     "prenormd: --shape gpt2-124m: is for random weights, and PRENORM_MODEL names a model"},
    {"", BENCH "--kernels --norms", "prenormd: --norms true: is another bench than --kernels"},
    {"PRENORM_NORMS=true", BENCH "--threads-model",
     "prenormd: --threads-model true: is another bench than PRENORM_NORMS"},
    {"", BENCH "--kernels --works decode-1", "prenormd: --works decode-1: --kernels has works of its own"},
    {"", BENCH "--norms --works decode-1", "prenormd: --works decode-1: --norms has works of its own"},
    {"", BENCH "--threads-model --json", "prenormd: --json true: --threads-model writes a table alone"},
    /* HTTP */
    {"", SERVE "--access-log /nowhere/log", "prenormd: --access-log /nowhere/log: cannot be opened"},
    {"", SERVE "--tls-cert file", "prenormd: --tls-cert file: needs tls-key too"},
    {"PRENORM_TLS_KEY=file", SERVE, "prenormd: --tls-key file (set by PRENORM_TLS_KEY): needs tls-cert too"},
    {"", SERVE "--trusted-proxy nonsense", "prenormd: --trusted-proxy nonsense: "},
    {"", SERVE "--fair-share key", "prenormd: --fair-share key: "},
    {"", SERVE "--cors-origin https://a.example/",
     "prenormd: --cors-origin https://a.example/: is no origin"},
    {"PRENORM_CORS_ORIGIN=a.example", SERVE,
     "prenormd: --cors-origin a.example (set by PRENORM_CORS_ORIGIN): is no origin"},
};

static void each_names_the_option_and_who_set_it(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++)
        expect(mistakes[i].environment, mistakes[i].arguments, 2, mistakes[i].beginning);
}

/* Rules are between options of the command: others may stand in a file that several share. */
static void what_a_command_does_not_use_is_no_mistake(void **state) {
    (void)state;
    char *errors;
    assert_int_equal(run("PRENORM_MATMUL=openblas", CONVERT "--weights int8", &errors), 0);
    free(errors);
    assert_int_equal(run("PRENORM_KV_PAGE_TOKENS=17 PRENORM_TLS_CERT=x PRENORM_NORM_FORM=none",
                         VERIFY "--verify-tokens 20 --weights f32", &errors),
                     0);
    free(errors);
}

/* What the machine could not give. */
static void a_failure_without_a_mistake_is_1(void **state) {
    (void)state;
    expect("", CONVERT "--out /nowhere/out.prenorm", 1, "prenormd: /nowhere/out.prenorm: cannot create");
}

static int make_folder(void **state) {
    /* What a converted file begins with: as much as is looked at before others are asked. */
    static const char converted[] =
        "\0\0\0\0\0\0\0\0{\"__metadata__\":{\"format\":\"prenorm\",\"version\":\"1\"";
    static const char isa[] = "{\"isa\": \"" FOREIGN "\"}", cache[] = "{\"kv-cache-mib\": 1}";
    (void)state;
    for (char **variable = environ; *variable;) {
        char name[256];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*variable, "="), *variable);
        bool is_option = strncmp(name, "PRENORM_", 8) == 0;
        if (is_option) unsetenv(name);
        variable = is_option ? environ : variable + 1;
    }
    folder = test_folder_create();
    test_file_write(folder, "isa.json", isa, sizeof isa - 1);
    test_file_write(folder, "cache.json", cache, sizeof cache - 1);
    test_file_write(folder, "file", "x", 1);
    test_file_write(folder, "converted", converted, sizeof converted - 1);
    test_file_write(folder, "empty", "", 0);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    test_folder_remove(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_names_the_option_and_who_set_it),
        cmocka_unit_test(what_a_command_does_not_use_is_no_mistake),
        cmocka_unit_test(a_failure_without_a_mistake_is_1),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
