/* The field `messages`. Pure: any thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "server/api/api_error.h"

/* Messages as a template reads them: objects with a role, whose content is a string, or parts of type text. Parts of
 * other types are refused by name. Where the template knows no parts (most do not) keeps_parts is false, and their texts
 * are joined by line ends, as other servers do it. Members that are null are left out, but for the content; others are as
 * they came. *messages is the caller's (json_decref); NULL after an error. */
enum api_error_kind chat_messages_read(const json_t *body, bool keeps_parts, json_t **messages,
                                       struct api_error *e);

/* Whether a message has parts; false too where `messages` is none of what it must be. */
bool chat_messages_have_parts(const json_t *body);
