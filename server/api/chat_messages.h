/* The field `messages`. Pure: any thread. */
#pragma once

#include <jansson.h>

#include "server/api/api_error.h"

/* Messages as a template reads them: objects with a role, whose content is a string. Parts of type text are joined by
 * line ends, as other servers do it, since most templates know no parts; parts of other types are refused by name. Other
 * members of a message are left as they are. *messages is the caller's (json_decref); NULL after an error. */
enum api_error_kind chat_messages_read(const json_t *body, json_t **messages, struct api_error *e);
