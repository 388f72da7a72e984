/* What may go to a log or a terminal: texts of clients and files hold anything. */
#pragma once

#include <stddef.h>

/* Replaces, byte by byte, with '?' what is not a printable character in UTF-8: control characters (C0, DEL, C1),
 * broken and overlong sequences, surrogates, line and paragraph separators, private and non-characters, and
 * format characters, bidirectional overrides above all. The two joiners of Persian and Indian names stay. */
void printable_text(char *text, size_t length);

/* The same for a text that was cut after length bytes; a character that was cut in two goes. Returns the new
 * length; the text need not be NUL-terminated. */
size_t printable_cut(char *text, size_t length);
