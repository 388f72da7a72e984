/* Models by their names on the Hugging Face hub, ORG/NAME, as the hub's own tools keep them on this machine. Files
 * are looked at, never the network. The layout is documented at
 * https://huggingface.co/docs/huggingface_hub/guides/manage-cache:
 *
 *     CACHE/models--ORG--NAME/refs/main          the commit that "main" was when it was fetched
 *     CACHE/models--ORG--NAME/snapshots/COMMIT/  its files
 *
 * CACHE is $HF_HUB_CACHE, else $HF_HOME/hub, else $XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"

/* Whether a text could be such a name: ORG/NAME, or ORG/NAME@REVISION for another branch, tag or commit than main. It
 * may be a path as well: look for that first. */
bool hub_cache_is_name(const char *text);

/* The folder of a name's files. STATUS_OPTION for "model", with the command that fetches it, where the cache does not
 * have it; STATUS_LIMIT where a path gets longer than size. */
enum status hub_cache_find(const char *name, char *out, size_t size, struct error *e);

/* ORG/NAME of an absolute path into a cache, for people to read. False for any other path. */
bool hub_cache_name_of(const char *path, char *out, size_t size);
