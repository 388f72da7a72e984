/* SIGHUP, in the pool, since the disk may be slow: the access log is opened anew; keys and certificate are read again,
 * and take effect together or not at all. Signals that come meanwhile are answered by one more reading after it. Loop thread. */
#pragma once

struct service;

void reload_start(struct service *s);
