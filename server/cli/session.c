#include "server/cli/session.h"

#include <errno.h>
#include <histedit.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/log.h"

enum { HISTORY_LINES = 1000 };

struct session {
    struct generation *generation;
    struct config config;  /* the caller's, less what is owned; /set changes numbers in it */
    json_t *messages;      /* of the conversation */
    bool is_chat, has_end; /* has_end: there will be no more input */
};

/* ---- what stands on the terminal ---- */

static const char help_text[] =
    "What does not begin with / is a prompt, or a message. A \\ at the end of a line goes on in the next.\n"
    "  /set NAME VALUE  changes a setting: /set temperature 0.7\n"
    "  /settings        shows all of them\n"
    "  /chat, /text     a conversation, or a text that goes on from each prompt\n"
    "  /clear           forgets the conversation\n"
    "  /help, /quit     this; Ctrl-D ends as well. Ctrl-C stops a text that grows\n";

static void print_setting(void *context, const char *key, const char *value) {
    (void)context;
    printf("  %-27s %s\n", key, *value ? value : "drawn for each text");
}

static void say_problem(const struct error *e) {
    char text[sizeof e->where + sizeof e->text + 4];
    error_format(e, text, sizeof text);
    printf("%s\n", text);
}

static char *prompt_of(EditLine *edit) {
    static char text[] = "chat> ", plain[] = "> ";
    const struct session *s;
    el_get(edit, EL_CLIENTDATA, &s);
    return s->is_chat ? text : plain;
}

/* ---- commands ---- */

static void begin_chat(struct session *s, bool is_chat) {
    const char *why = engine_no_chat_template(s->generation->engine);
    json_array_clear(s->messages);
    s->is_chat = is_chat && !why;
    if (is_chat && why) printf("There is no conversation with this model: %s\n", why);
}

static void change_setting(struct session *s, const char *words) {
    struct error e;
    char key[64], value[64];
    if (sscanf(words, "%63s %63s", key, value) != 2)
        printf("/set NAME VALUE; /settings shows the names\n");
    else if (config_set(&s->config, key, value, &e) != STATUS_OK)
        say_problem(&e);
}

static void run_command(struct session *s, const char *line) {
    if (strncmp(line, "/set ", 5) == 0)
        change_setting(s, line + 5);
    else if (strcmp(line, "/settings") == 0)
        config_each_setting(&s->config, print_setting, NULL);
    else if (strcmp(line, "/chat") == 0 || strcmp(line, "/text") == 0)
        begin_chat(s, line[1] == 'c');
    else if (strcmp(line, "/clear") == 0)
        json_array_clear(s->messages);
    else if (strcmp(line, "/quit") == 0 || strcmp(line, "/exit") == 0)
        s->has_end = true;
    else
        fputs(help_text, stdout);
}

/* ---- texts ---- */

static enum status encode_chat(const struct session *s, int32_t **ids, size_t *count, struct error *e) {
    struct engine_chat_text text = {0};
    const struct engine *engine = s->generation->engine;
    const struct engine_chat chat = {.messages = s->messages, .add_generation_prompt = true};
    enum status status = engine_apply_chat_template(engine, &chat, &text, e);
    if (status == STATUS_OK) status = engine_encode_chat(engine, &text, 0, ids, count, e);
    engine_chat_text_deinit(&text);
    return status;
}

static void add_message(struct session *s, const char *role, const char *text, size_t length) {
    json_array_append_new(s->messages,
                          json_pack("{s:s, s:o}", "role", role, "content", json_stringn(text, length)));
}

/* An error is said, and the session goes on; what can no longer be written ends it. */
static enum status answer(struct session *s, const char *line, struct error *e) {
    struct generation *g = s->generation;
    int32_t *ids = NULL;
    size_t count = 0;
    if (s->is_chat) add_message(s, "user", line, strlen(line));
    fflush(stdout);
    enum status status = s->is_chat ? encode_chat(s, &ids, &count, e)
                                    : generation_encode(g, line, strlen(line), &ids, &count, e);
    if (status == STATUS_OK) status = generation_run(g, &s->config, ids, count, e);
    free(ids);
    const struct bytes *first = &g->choices[0].text; /* of several: the others were for looking at */
    if (status == STATUS_OK && s->is_chat)
        add_message(s, "assistant", first->length ? first->data : "", first->length);
    if (status == STATUS_OK) generation_report(g);
    if (g->output.code != STATUS_OK) return g->output.code;
    if (status == STATUS_OK) return STATUS_OK;
    say_problem(e);
    if (s->is_chat) json_array_remove(s->messages, json_array_size(s->messages) - 1);
    return STATUS_OK;
}

/* ---- lines ---- */

/* Whether the line goes on in the next: then its last characters, '\' and the line end, became a line end. */
static bool goes_on(char *line, size_t *length) {
    if (*length < 2 || line[*length - 1] != '\n' || line[*length - 2] != '\\') return false;
    line[*length - 2] = '\n';
    --*length;
    return true;
}

/* One line, or several that go on into each other; the caller frees. NULL: the input has ended, or has been
 * interrupted. */
static char *read_line(EditLine *edit) {
    char *whole = NULL;
    size_t used = 0;
    for (;;) {
        int count = 0;
        /* Before the prompt, and not behind it alone, as el_gets does: a Ctrl-D between the two would be lost. */
        el_set(edit, EL_PREP_TERM, 1);
        const char *part = el_gets(edit, &count);
        char *larger = part && count > 0 ? realloc(whole, used + (size_t)count + 1) : NULL;
        if (!larger) break;
        whole = larger;
        memcpy(whole + used, part, (size_t)count);
        size_t length = (size_t)count;
        bool more = goes_on(whole + used, &length);
        used += length;
        whole[used] = '\0';
        if (more) continue;
        if (used && whole[used - 1] == '\n') whole[used - 1] = '\0';
        return whole;
    }
    free(whole);
    return NULL;
}

static enum status take_line(struct session *s, EditLine *edit, History *lines, struct error *e) {
    HistEvent unused;
    enum status status = STATUS_OK;
    char *line = read_line(edit);
    if (!line && generation_signal == SIGINT) {
        putchar('\n'); /* an emptied line */
    } else if (!line) {
        s->has_end = true;
        putchar('\n');
    } else if (*line) {
        history(lines, &unused, H_ENTER, line);
        if (*line == '/')
            run_command(s, line);
        else
            status = answer(s, line, e);
    }
    free(line);
    if (generation_signal == SIGINT) generation_signal = 0;
    return status;
}

static EditLine *open_editor(struct session *s, History *lines) {
    EditLine *edit = el_init("prenormd", stdin, stdout, stderr);
    if (!edit) return NULL;
    el_set(edit, EL_CLIENTDATA, s);
    el_set(edit, EL_PROMPT, prompt_of);
    el_set(edit, EL_EDITOR, "emacs");
    el_set(edit, EL_HIST, history, lines);
    el_source(edit, NULL); /* the user's own .editrc */
    return edit;
}

enum status session_run(struct generation *g, const struct config *config, struct error *e) {
    struct session s = {.generation = g, .config = *config, .messages = json_array()};
    HistEvent unused;
    History *lines = history_init();
    EditLine *edit = lines ? open_editor(&s, lines) : NULL;
    enum status status = STATUS_OK;
    if (!edit || !s.messages) status = error_set(e, STATUS_NO_MEMORY, "session", "no memory for its lines");
    if (status == STATUS_OK) {
        history(lines, &unused, H_SETSIZE, HISTORY_LINES);
        begin_chat(&s, !engine_no_chat_template(g->engine));
        printf("/help says what can be said.\n");
    }
    while (status == STATUS_OK && !s.has_end && generation_signal != SIGTERM)
        status = take_line(&s, edit, lines, e);
    if (edit) el_end(edit);
    if (lines) history_end(lines);
    json_decref(s.messages);
    return status;
}
