/* Files of the source tree that lie in the program as they are. The assembler reads them; name them to CMake with
 * prenorm_embed(), so that the object is made anew when the file changes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* At the top of a file that declares `extern const char NAME_begin[], NAME_end[];`. A NUL follows the last byte. */
#define EMBED_FILE(name, path)                                                                               \
    __asm__(".pushsection .rodata\n"                                                                         \
            ".global " name "_begin\n.hidden " name "_begin\n" name "_begin: .incbin \"" path "\"\n"         \
            ".global " name "_end\n.hidden " name "_end\n" name "_end: .byte 0\n"                            \
            ".popsection\n")

/* Bytes of such a file. */
#define EMBEDDED_BYTES(name) ((size_t)((uintptr_t)name##_end - (uintptr_t)name##_begin))
