/* SIGHUP: the access log is opened anew, and keys and certificate are read again, in the pool (the disk may be slow), and take effect together
 * or not at all. Signals that come meanwhile are answered by one more reading after it. Loop thread. */
#pragma once

struct service;

void reload_start(struct service *s);
