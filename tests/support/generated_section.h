/* Parts of documents that come from the tables of the program, so that they cannot go stale. */
#pragma once

/* Fails the test unless folder/name (below the source tree) has exactly `text` between the lines `begin` and `end`,
 * which it must have. With PRENORM_UPDATE in the environment the part is written anew instead. `command` stands in the
 * message: what to run with it. */
void generated_section_check(const char *folder, const char *name, const char *begin, const char *end,
                             const char *text, const char *command);
