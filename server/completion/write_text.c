/* The shapes of POST /v1/completions and of POST /infill, which has the text a second time, where llama-server has it. */
#include "server/completion/answer_shape.h"

#include "server/json/write.h"
#include "server/logprobs/text_logprobs.h"

static void add_logprob(struct prompt *p, struct choice *choice, const struct engine_event *event) {
    const struct token_names names = answer_shape_token_names(p->completion);
    const struct logprob_buffers to = {&choice->tokens, &choice->token_logprobs, &choice->top_logprobs,
                                       &choice->text_offsets};
    text_logprobs_add(to, &names, p->completion->params.logprobs, event, choice->characters, &choice->place);
}

static void write_logprobs(struct bytes *out, const struct prompt *p, struct choice *choice) {
    bool with_prompt = !choice->written;
    bytes_text(out, "{");
    answer_shape_write_array(out, "tokens", with_prompt ? &p->tokens : NULL, &choice->tokens);
    bytes_text(out, ",");
    answer_shape_write_array(out, "token_logprobs", with_prompt ? &p->token_logprobs : NULL,
                             &choice->token_logprobs);
    bytes_text(out, ",");
    answer_shape_write_array(out, "top_logprobs", with_prompt ? &p->top_logprobs : NULL,
                             &choice->top_logprobs);
    bytes_text(out, ",");
    answer_shape_write_array(out, "text_offset", with_prompt ? &p->text_offsets : NULL,
                             &choice->text_offsets);
    bytes_text(out, "}");
}

/* What is said of the prompt stands in the first part of each choice. */
static void write_choice(struct bytes *out, struct prompt *p, struct choice *choice) {
    const struct api_params *params = &p->completion->params;
    bytes_text(out, ",\"text\":");
    json_write_string(out, choice->text.data, choice->text.length);
    bytes_clear(&choice->text);
    bytes_text(out, ",\"logprobs\":");
    if (params->logprobs >= 0)
        write_logprobs(out, p, choice);
    else
        bytes_text(out, "null");
    if (choice->written) return;
    if (params->return_token_ids) {
        bytes_text(out, ",");
        answer_shape_write_prompt_ids(out, p);
    }
    if (params->prompt_logprobs >= 0) {
        bytes_text(out, ",");
        answer_shape_write_prompt_logprobs(out, p);
    }
}

static void write_content(struct bytes *out, const struct prompt *p, const struct choice *choice) {
    (void)p;
    bytes_text(out, "\"content\":");
    json_write_string(out, choice->text.data, choice->text.length);
    bytes_text(out, choice->finished ? ",\"stop\":true," : ",\"stop\":false,");
}

const struct answer_shape answer_shape_text = {
    .id_prefix = "cmpl-",
    .object = "text_completion",
    .chunk_object = "text_completion",
    .list = "choices",
    .generates = true,
    .add_logprob = add_logprob,
    .write_choice = write_choice,
};

const struct answer_shape answer_shape_infill = {
    .id_prefix = "cmpl-",
    .object = "text_completion",
    .chunk_object = "text_completion",
    .list = "choices",
    .generates = true,
    .add_logprob = add_logprob,
    .write_members = write_content,
    .write_choice = write_choice,
};
