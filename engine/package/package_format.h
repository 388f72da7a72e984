/* The names and numbers of the format (README.md) that its reader and its writer share. */
#pragma once

/* How the header of every version begins, up to the number of the version. */
#define PACKAGE_START "{\"__metadata__\":{\"format\":\"prenorm\",\"version\":\""
/* After that number: the size of the file, in PACKAGE_SIZE_DIGITS digits. */
#define PACKAGE_SIZE        "\",\"bytes\":\""
#define PACKAGE_SIZE_DIGITS 20

#define PACKAGE_LENGTH_BYTES 8    /* of the header's length */
#define PACKAGE_PAGE         4096 /* the data section starts on a multiple of it */

#define PACKAGE_SECTIONS   "prenorm/" /* in front of the names of what is no tensor of the checkpoint */
#define PACKAGE_PACKED     PACKAGE_SECTIONS "packed"
#define PACKAGE_CONFIG     PACKAGE_SECTIONS "config.json"
#define PACKAGE_GENERATION PACKAGE_SECTIONS "generation_config.json"
#define PACKAGE_TOKENIZER  PACKAGE_SECTIONS "tokenizer.json"
#define PACKAGE_CHECKSUMS  PACKAGE_SECTIONS "checksums"
