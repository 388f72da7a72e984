/* A stand-in behind engine/api/engine.h for the tests of serving: no model, the same contract. What it generates
 * is a function of the ids, the seed and the choice alone, so that a test can say what must come out, at any
 * load.
 *
 * Tokens: 0..255 are bytes (a text's ids are its bytes), 256 ends a text and begins one, 257..319 are special
 * tokens without text. Generated tokens are lower-case events, spaces and, rarely, 256.
 *
 * A prompt with the id FAKE_BEYOND is refused as one that the tokenizer has and the model has not.
 *
 * The option `model` is a list of settings, "token-ms=5,load-ms=300":
 *   load-ms    time that loading takes, in ten reports of progress
 *   fail-load  loading fails
 *   token-ms   time between two tokens of a sequence
 *   fail-at    a sequence fails at this token (from 1 on)
 *   tokens-max  no sequence gets longer, whatever it asks for
 *   late-at    the time limit of a request is over after this event of each choice, instead of by the clock
 *   holds      encoding a text that begins with "hold" takes until one that begins with "let go" is encoded
 *   no-chat    it has no chat template
 *   no-infill  it has no tokens for filling in
 *   no-start   there is no token to begin an empty prompt with */
#pragma once

#include "engine/api/engine.h"

enum { FAKE_END = 256, FAKE_VOCABULARY = 320, FAKE_CONTEXT = 2048, FAKE_PAGE_TOKENS = 16, FAKE_BEYOND = 318 };

/* An embedding is of the last id, or of the mean of all, and then one, two and three more. */
enum { FAKE_EMBEDDING_WIDTH = 4 };

/* A chat is written "<role>content\n" for each message, then `tail` of chat_template_kwargs, then "<assistant>" where an
 * answer is to begin; a message of the role "raise" makes the template raise its content. Of its ids those of "<" and
 * ">" are control tokens where no client wrote them, the others bytes. */
enum { FAKE_CHAT_OPEN = 257, FAKE_CHAT_CLOSE };

/* A text with a gap is 256 300 prefix 301 suffix 302. */
enum { FAKE_FIM_PREFIX = 300, FAKE_FIM_SUFFIX, FAKE_FIM_MIDDLE, FAKE_FIM_END };

/* For a test that takes its events by hand: waking does nothing. The test changes what it is about. */
struct engine_options fake_engine_options(void);

/* Since the process began: requests that were made for tickets, and texts that were turned into ids. */
size_t fake_engine_requests_made(void);
size_t fake_engine_texts_encoded(void);
/* "KIND:TEXT:WHITESPACE" of the last grammar that was asked for. One whose text has "malformed" in it is refused as not
 * understood, "busy" and "unsupported" as their statuses say. */
const char *fake_engine_grammar_asked(void);
