/* Bytes as base64 (RFC 4648, with padding). */
#pragma once

#include "server/json/bytes.h"

void base64_write(struct bytes *out, const void *data, size_t length);
