/* The names and numbers of the format (docs/model-file.md) that its reader and its writer share. */
#pragma once

/* How the header of every version begins, up to the number of the version. */
#define MODEL_FILE_START "{\"__metadata__\":{\"format\":\"prenorm\",\"version\":\""
/* After that number: the size of the file, in MODEL_FILE_SIZE_DIGITS digits. */
#define MODEL_FILE_SIZE        "\",\"bytes\":\""
#define MODEL_FILE_SIZE_DIGITS 20

#define MODEL_FILE_LENGTH_BYTES 8    /* of the header's length */
#define MODEL_FILE_PAGE         4096 /* the data section starts on a multiple of it */

#define MODEL_FILE_SECTIONS   "prenorm/" /* in front of the names of what is not a tensor of the checkpoint */
#define MODEL_FILE_PACKED     MODEL_FILE_SECTIONS "packed"
#define MODEL_FILE_CONFIG     MODEL_FILE_SECTIONS "config.json"
#define MODEL_FILE_GENERATION MODEL_FILE_SECTIONS "generation_config.json"
#define MODEL_FILE_TOKENIZER  MODEL_FILE_SECTIONS "tokenizer.json"
#define MODEL_FILE_CHAT       MODEL_FILE_SECTIONS "chat_template"
#define MODEL_FILE_CHECKSUMS  MODEL_FILE_SECTIONS "checksums"
