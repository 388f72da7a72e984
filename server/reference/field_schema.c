#include "server/reference/field_schema.h"

#include <stddef.h>
#include <string.h>

#define IDS "{\"type\": \"array\", \"items\": {\"type\": \"integer\"}}"

static const struct {
    const char *words, *schema;
} types[] = {
    {"integer", "{\"type\": [\"integer\", \"null\"]}"},
    {"64-bit integer", "{\"type\": [\"integer\", \"null\"], \"format\": \"int64\"}"},
    {"number", "{\"type\": [\"number\", \"null\"]}"},
    {"boolean", "{\"type\": [\"boolean\", \"null\"]}"},
    {"string", "{\"type\": [\"string\", \"null\"]}"},
    {"object", "{\"type\": [\"object\", \"null\"]}"},
    {"JSON schema", "{\"type\": [\"object\", \"boolean\", \"string\", \"null\"]}"},
    {"array of strings", "{\"type\": [\"array\", \"null\"], \"items\": {\"type\": \"string\"}}"},
    {"array of objects", "{\"type\": [\"array\", \"null\"], \"items\": {\"type\": \"object\"}}"},
    {"array of token ids", "{\"type\": [\"array\", \"null\"], \"items\": {\"type\": \"integer\"}}"},
    {"string, array of strings",
     "{\"type\": [\"string\", \"array\", \"null\"], \"items\": {\"type\": \"string\"}}"},
    {"string, array of token ids, array of such",
     "{\"anyOf\": [{\"type\": [\"string\", \"null\"]}, " IDS
     ", {\"type\": \"array\", \"items\": {\"anyOf\": [{\"type\": \"string\"}, " IDS "]}}]}"},
    {"object of token ids and numbers",
     "{\"type\": [\"object\", \"null\"], \"additionalProperties\": {\"type\": \"number\"}}"},
    {"\"left\" or \"right\"", "{\"enum\": [\"left\", \"right\", null]}"},
    {"\"last\" or \"mean\"", "{\"enum\": [\"last\", \"mean\", null]}"},
    {"\"float\" or \"base64\"", "{\"enum\": [\"float\", \"base64\", null]}"},
    {"string of 1 to 128 letters, digits, '-', '_' and '.'",
     "{\"type\": [\"string\", \"null\"], \"pattern\": \"^[-A-Za-z0-9_.]{1,128}$\"}"},
};

json_t *field_schema(const char *words) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].words, words) == 0) return json_loads(types[i].schema, 0, NULL);
    return NULL;
}
