/* `generate` on a terminal without a prompt: prompts, or messages of a conversation, one after another, the model
 * loaded once. Lines are edited by libedit, with a history of this session. Ctrl-C stops the text that grows, or empties
 * the line; Ctrl-D ends the session. Main thread. */
#pragma once

#include "server/cli/generation.h"

/* Until the end of the input. With a chat template the session begins as a conversation. */
enum status session_run(struct generation *g, const struct config *config, struct error *e);
