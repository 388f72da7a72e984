#include "server/service/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Connections that have not been accepted yet; the kernel cuts it to net.core.somaxconn. */
enum { BACKLOG = 1024 };

void listener_deinit(struct listener *l) {
    if (l->fd >= 0) close(l->fd);
    if (l->path) unlink(l->path);
    free(l->path);
    *l = (struct listener){.fd = -1};
}

/* ---- TCP ----------------------------------------------------------------------------------------------- */

static bool is_loopback(const struct sockaddr *address) {
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static int open_address(const struct addrinfo *address, bool reuse_port) {
    int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool is_set = !reuse_port || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
    bool is_bound = is_set && bind(fd, address->ai_addr, address->ai_addrlen) == 0;
    if (is_bound && (reuse_port || listen(fd, BACKLOG) == 0)) return fd;
    int cause = errno;
    close(fd);
    errno = cause;
    return -1;
}

static unsigned bound_port(int fd) {
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &length);
    if (address.ss_family == AF_INET) return ntohs(((struct sockaddr_in *)&address)->sin_port);
    return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
}

static enum status open_tcp(struct listener *l, const char *host, size_t port, bool reuse_port,
                            const char *scheme, struct error *e) {
    char service[16], where[300];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                    *list = NULL;
    snprintf(service, sizeof service, "%zu", port);
    snprintf(where, sizeof where, strchr(host, ':') ? "[%s]:%zu" : "%s:%zu", host, port);
    int result = getaddrinfo(host, service, &hints, &list);
    if (result) return error_set(e, STATUS_IO, where, "the address is not known: %s", gai_strerror(result));
    for (const struct addrinfo *a = list; a && l->fd < 0; a = a->ai_next) {
        l->fd = open_address(a, reuse_port);
        l->is_loopback = is_loopback(a->ai_addr);
    }
    int cause = errno;
    freeaddrinfo(list);
    if (l->fd < 0)
        return error_set(e, STATUS_IO, where, "cannot listen: %s%s", strerror(cause),
                         cause == EADDRINUSE ? "; another program listens there, choose another --port" : "");
    snprintf(l->url, sizeof l->url, strchr(host, ':') ? "%s://[%s]:%u" : "%s://%s:%u", scheme, host,
             bound_port(l->fd));
    l->is_shared = reuse_port;
    return STATUS_OK;
}

/* ---- Unix socket --------------------------------------------------------------------------------------- */

/* A socket file outlives its process. It is stale when nobody accepts behind it. */
static bool is_stale(const struct sockaddr_un *address) {
    struct stat info;
    if (lstat(address->sun_path, &info) != 0 || !S_ISSOCK(info.st_mode)) return false;
    /* Behind one whose queue is full, of a program that hangs, connect would wait for it. */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    bool stale = connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 && errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static enum status refuse_unix(const char *path, int cause, struct error *e) {
    struct stat info;
    const char *hint = "";
    if (cause == EADDRINUSE && lstat(path, &info) == 0)
        hint = S_ISSOCK(info.st_mode)
                   ? "; another program listens there, or has left a socket that this one may not remove"
                   : "; a file that is no socket is there";
    return error_set(e, STATUS_IO, path, "cannot listen: %s%s", strerror(cause), hint);
}

static enum status open_unix(struct listener *l, const char *path, struct error *e) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return error_set(e, STATUS_OPTION, "unix-socket", "the path of a Unix socket has at most %zu bytes",
                         sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path));
    if (is_stale(&address)) unlink(path);
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0 || bind(l->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(l->fd, BACKLOG) != 0)
        return refuse_unix(path, errno, e);
    l->path = strdup(path);
    l->is_loopback = true;
    snprintf(l->url, sizeof l->url, "unix:%s", path);
    return STATUS_OK;
}

enum status listener_begin(struct listener *l, struct error *e) {
    if (!l->is_shared || l->is_inherited || listen(l->fd, BACKLOG) == 0) return STATUS_OK;
    return error_set(e, STATUS_IO, l->url, "cannot listen: %s", strerror(errno));
}

/* ---- from a service manager ---------------------------------------------------------------------------- */

/* Where the first of its sockets is (sd_listen_fds(3)). */
enum { FIRST_INHERITED_FD = 3 };

static long inherited_count(void) {
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    long result = pid && count && strtol(pid, NULL, 10) == (long)getpid() ? strtol(count, NULL, 10) : 0;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return result;
}

static bool is_listening(int fd) {
    int type = 0, accepts = 0;
    socklen_t size = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) return false;
    size = sizeof accepts;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size) == 0 && accepts;
}

static void describe(struct listener *l, const char *scheme) {
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    char host[INET6_ADDRSTRLEN + 32] = "";
    const struct sockaddr *bound = (const struct sockaddr *)&address;
    getsockname(l->fd, (struct sockaddr *)&address, &length);
    l->is_loopback = address.ss_family == AF_UNIX || is_loopback(bound);
    if (address.ss_family == AF_UNIX) {
        snprintf(l->url, sizeof l->url, "unix:%.107s", ((const struct sockaddr_un *)bound)->sun_path);
        return;
    }
    getnameinfo(bound, length, host, sizeof host, NULL, 0, NI_NUMERICHOST);
    snprintf(l->url, sizeof l->url, strchr(host, ':') ? "%s://[%s]:%u" : "%s://%s:%u", scheme, host,
             bound_port(l->fd));
}

enum status listener_inherit(struct listener *l, const char *scheme, bool *found, struct error *e) {
    int fd = FIRST_INHERITED_FD;
    *l = (struct listener){.fd = -1};
    long count = inherited_count();
    *found = count > 0;
    if (count <= 0) return STATUS_OK;
    if (count > 1)
        return error_set(e, STATUS_INVALID_ARGUMENT, "LISTEN_FDS", "%ld sockets; one was expected", count);
    int flags = fcntl(fd, F_GETFL);
    if (!is_listening(fd) || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return error_set(e, STATUS_INVALID_ARGUMENT, "LISTEN_FDS",
                         "descriptor %d is no listening stream socket", fd);
    *l = (struct listener){.fd = fd, .is_shared = true, .is_inherited = true};
    describe(l, scheme);
    return STATUS_OK;
}

enum status listener_init(struct listener *l, const char *host, size_t port, bool reuse_port,
                          const char *unix_socket, const char *scheme, struct error *e) {
    *l = (struct listener){.fd = -1};
    enum status status =
        unix_socket ? open_unix(l, unix_socket, e) : open_tcp(l, host, port, reuse_port, scheme, e);
    if (status != STATUS_OK) listener_deinit(l);
    return status;
}
