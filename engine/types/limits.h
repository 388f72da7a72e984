/* Limits that more than one stage needs to know, each said once. Those that an operator may change are options. */
#pragma once

/* Of the text of one token (engine/text/token_texts.h); a longer one is cut at a character. The longest of known
 * vocabularies are below 300 bytes. */
#define TOKEN_TEXT_BYTES_MAX 1023

/* Positions in a block of keys, which attention computes together: a page of the cache has whole blocks. */
#define KV_PAGE_TOKENS_STEP 16
