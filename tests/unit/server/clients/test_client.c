/* Clients by their addresses, and what hostile headers may not do. */
#include "tests/support/test_support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "server/clients/client.h"

/* ---- reading ------------------------------------------------------------------------------------------- */

static void test_entries(void **state) {
    (void)state;
    static const char *const good[] = {"1.2.3.4",
                                       "1.2.3.4:80",
                                       "1.2.3.4:65535",
                                       "::1",
                                       "2001:db8::1",
                                       "[2001:db8::1]",
                                       "[2001:db8::1]:443",
                                       "::ffff:1.2.3.4",
                                       "[::ffff:1.2.3.4]:1",
                                       "255.255.255.255",
                                       "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"};
    static const char *const bad[] = {"",
                                      " ",
                                      "unknown",
                                      "_hidden",
                                      "localhost",
                                      "1.2.3",
                                      "1.2.3.4.5",
                                      "1.2.3.256",
                                      "1.2.3.4 ",
                                      " 1.2.3.4",
                                      "01.2.3.4",
                                      "0x1.2.3.4",
                                      "16909060",
                                      "1.2.3.4:",
                                      "1.2.3.4:x",
                                      "1.2.3.4:123456",
                                      "1.2.3.4:80:80",
                                      "1.2.3.4/8",
                                      "\"1.2.3.4\"",
                                      "for=1.2.3.4",
                                      "[1.2.3.4]",
                                      "[1.2.3.4]:80",
                                      "[::1",
                                      "[::1]x",
                                      "[::1]:",
                                      "[::1]:x",
                                      "[::1]80",
                                      "[]",
                                      "[",
                                      "]",
                                      ":",
                                      ":80",
                                      "::1]",
                                      ":::",
                                      "1::2::3",
                                      "fe80::1%eth0",
                                      "2001:db8::1:2:3:4:5:6:7",
                                      "2001:db8::g",
                                      "\xff\xfe",
                                      "1.2.3.4\n",
                                      "1.2.3.4;1.2.3.5"};
    struct client_address a;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!client_address_read(&a, good[i], strlen(good[i]))) fail_msg("'%s' was refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (client_address_read(&a, bad[i], strlen(bad[i]))) fail_msg("'%s' was taken", bad[i]);
    assert_false(client_address_read(&a, "1.2.3.4\0", 8));
    static char longest[100000];
    memset(longest, '1', sizeof longest);
    assert_false(client_address_read(&a, longest, sizeof longest));
    memset(longest, ':', sizeof longest);
    assert_false(client_address_read(&a, longest, sizeof longest));
    memset(longest, '[', sizeof longest);
    assert_false(client_address_read(&a, longest, sizeof longest));
}

static void test_networks(void **state) {
    (void)state;
    static const char *const good[] = {
        "0.0.0.0/0", "10.0.0.0/8", "10.1.2.3", "10.1.2.3/32", "127.0.0.0/9",
        "::/0",      "::1",        "fd00::/8", "::1/128",     "2001:db8:8000::/33"};
    static const char *const bad[] = {"",
                                      "/",
                                      "/8",
                                      "10.0.0.0/",
                                      "10.0.0.0/33",
                                      "10.0.0.1/8",
                                      "10.0.0.0/-1",
                                      "10.0.0.0/+8",
                                      "10.0.0.0/8x",
                                      "10.0.0.0/ 8",
                                      "10.0.0.0//8",
                                      "10/8",
                                      "fd00::/129",
                                      "fd00::1/8",
                                      "fd00::/0008",
                                      "[::1]",
                                      "[::1]/128",
                                      "unix",
                                      "localhost",
                                      "10.0.0.0:80",
                                      "0.0.0.0/00000",
                                      "127.128.0.0/8"};
    struct client_network n;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!client_network_read(&n, good[i])) fail_msg("'%s' was refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (client_network_read(&n, bad[i])) fail_msg("'%s' was taken", bad[i]);
}

/* ---- rules --------------------------------------------------------------------------------------------- */

static struct client_rules rules;

/* Up to a NULL. */
static enum status start(const char *fair_share, char *key_file, const char *const *trusted,
                         struct error *e) {
    struct config config = {.fair_share = (char *)fair_share, .api_key_file = key_file};
    config.trusted_proxy.items = (char **)trusted;
    while (trusted[config.trusted_proxy.count]) config.trusted_proxy.count++;
    return client_rules_init(&rules, &config, e);
}

static void test_rules(void **state) {
    (void)state;
    struct error e;
    static const char *const none[] = {NULL}, *const bad[] = {"10.0.0.0/8", "10.0.0.1/8", NULL};
    assert_ok(start("off", NULL, none, &e));
    assert_false(rules.is_needed);
    client_rules_deinit(&rules);
    assert_ok(start("key", (char *)"keys", none, &e));
    assert_true(rules.is_needed && rules.is_by_key);
    client_rules_deinit(&rules);
    assert_int_equal(start("key", NULL, none, &e), STATUS_OPTION);
    assert_string_equal(e.where, "fair-share");
    assert_int_equal(start("address", NULL, bad, &e), STATUS_OPTION);
    assert_string_equal(e.where, "trusted-proxy");
    assert_non_null(strstr(e.text, "'10.0.0.1/8'"));
    const char *many[CLIENT_NETWORKS_MAX + 2] = {NULL};
    for (size_t i = 0; i <= CLIENT_NETWORKS_MAX; i++) many[i] = "::1";
    assert_int_equal(start("address", NULL, many, &e), STATUS_OPTION);
    assert_string_equal(e.where, "trusted-proxy");
}

/* ---- who it is ----------------------------------------------------------------------------------------- */

static const struct sockaddr *peer_of(const char *text) {
    static struct sockaddr_storage storage;
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&storage;
    memset(&storage, 0, sizeof storage);
    if (strcmp(text, "unix") == 0) {
        storage.ss_family = AF_UNIX;
    } else if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        storage.ss_family = AF_INET;
        v4->sin_port = htons((uint16_t)rand());
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
        storage.ss_family = AF_INET6;
    }
    return (const struct sockaddr *)&storage;
}

/* lines: what came as X-Forwarded-For, '|' between lines; NULL: none. */
static uint64_t client(const char *peer, const char *lines) {
    static char copy[100000];
    const char *list[64];
    size_t count = 0;
    if (lines) {
        snprintf(copy, sizeof copy, "%s", lines);
        for (char *at = copy, *end; at; at = end) {
            end = strchr(at, '|');
            if (end) *end++ = '\0';
            list[count++] = at;
        }
    }
    return client_by_address(&rules, peer_of(peer), list, count);
}

static void expect(const char *peer, const char *lines, const char *who) {
    if (client(peer, lines) != client(who, NULL))
        fail_msg("%s with '%s' is not %s", peer, lines ? lines : "nothing", who);
}

static const char *const proxies[] = {"10.0.0.0/8", "fd00::/8", "192.0.2.7", NULL};

static void test_peers(void **state) {
    (void)state;
    struct error e;
    assert_ok(start("address", NULL, proxies, &e));
    assert_int_not_equal(client("1.2.3.4", NULL), client("1.2.3.5", NULL));
    expect("::ffff:1.2.3.4", NULL, "1.2.3.4");
    expect("2001:db8:1:2::1", NULL, "2001:db8:1:2:ffff::9"); /* a /64 is one client */
    assert_int_not_equal(client("2001:db8:1:2::", NULL), client("2001:db8:1:3::", NULL));
    assert_int_not_equal(client("::102:304", NULL), client("1.2.3.4", NULL));
    assert_int_equal(client("unix", NULL), 0);
    assert_int_equal(client_by_address(&rules, NULL, NULL, 0), 0);
    struct sockaddr other = {.sa_family = AF_PACKET};
    assert_int_equal(client_by_address(&rules, &other, NULL, 0), 0);
    client_rules_deinit(&rules);
}

static void test_forwarded(void **state) {
    (void)state;
    struct error e;
    assert_ok(start("address", NULL, proxies, &e));
    expect("10.1.1.1", "1.2.3.4", "1.2.3.4");
    expect("::ffff:10.1.1.1", "1.2.3.4", "1.2.3.4");
    expect("fd00::1", "[2001:db8::1]:99", "2001:db8::1");
    expect("192.0.2.7", " 1.2.3.4\t", "1.2.3.4");
    expect("10.1.1.1", NULL, "10.1.1.1");
    /* A peer that is not trusted says nothing. */
    expect("1.2.3.4", "5.6.7.8", "1.2.3.4");
    expect("192.0.2.8", "5.6.7.8", "192.0.2.8");
    expect("11.0.0.1", "5.6.7.8", "11.0.0.1");
    /* The client wrote the left, its proxy the right. */
    expect("10.1.1.1", "9.9.9.9, 1.2.3.4", "1.2.3.4");
    expect("10.1.1.1", "10.2.2.2, 1.2.3.4", "1.2.3.4");
    expect("10.1.1.1", "9.9.9.9|1.2.3.4", "1.2.3.4");
    expect("10.1.1.1", "9.9.9.9, 8.8.8.8|7.7.7.7,1.2.3.4", "1.2.3.4");
    expect("10.1.1.1", "garbage \xff,,,|||, 1.2.3.4", "1.2.3.4");
    /* Trusted hops are walked past, in one line and in several. */
    expect("10.1.1.1", "9.9.9.9, 1.2.3.4, 10.2.2.2, fd00::5", "1.2.3.4");
    expect("10.1.1.1", "9.9.9.9|1.2.3.4|10.2.2.2|192.0.2.7:80", "1.2.3.4");
    expect("10.1.1.1", "10.3.3.3, 10.2.2.2", "10.3.3.3"); /* nobody else is named */
    /* What is not an address ends the walk. */
    expect("10.1.1.1", "1.2.3.4, unknown", "10.1.1.1");
    expect("10.1.1.1", "1.2.3.4,", "10.1.1.1");
    expect("10.1.1.1", "1.2.3.4|", "10.1.1.1");
    expect("10.1.1.1", "", "10.1.1.1");
    expect("10.1.1.1", ",", "10.1.1.1");
    expect("10.1.1.1", "1.2.3.4 5.6.7.8", "10.1.1.1");
    expect("10.1.1.1", "1.2.3.4, _x, 10.2.2.2", "10.2.2.2");
    expect("10.1.1.1", "1.2.3.4, 10.2.2.2:http", "10.1.1.1");
    client_rules_deinit(&rules);
}

/* Very long headers cost a bounded time, and only their right ends count. */
static void test_forwarded_is_bounded(void **state) {
    (void)state;
    static char text[90000];
    struct error e;
    assert_ok(start("address", NULL, proxies, &e));
    for (size_t i = 0; i + 10 < sizeof text; i += 10) memcpy(text + i, "10.2.2.2, ", 11);
    strcpy(text + strlen(text) - 2, ", 1.2.3.4");
    expect("10.1.1.1", text, "1.2.3.4");
    strcpy(strrchr(text, ',') + 2, "10.3.3.3");
    expect("10.1.1.1", text, "10.2.2.2"); /* as far as CLIENT_HOPS_MAX hops */
    char lines[400] = "1.2.3.4";
    for (int i = 0; i < CLIENT_LINES_MAX; i++) strcat(lines, "|10.2.2.2");
    expect("10.1.1.1", lines, "10.2.2.2");
    strcat(lines, "|5.6.7.8");
    expect("10.1.1.1", lines, "5.6.7.8");
    client_rules_deinit(&rules);
}

static void test_unix(void **state) {
    (void)state;
    static const char *const trusted[] = {"unix", "10.0.0.0/8", NULL};
    struct error e;
    assert_ok(start("address", NULL, trusted, &e));
    expect("unix", "9.9.9.9, 1.2.3.4", "1.2.3.4");
    expect("unix", "1.2.3.4, 10.2.2.2", "1.2.3.4");
    assert_int_equal(client("unix", NULL), 0);
    assert_int_equal(client("unix", "1.2.3.4, nobody"), 0);
    client_rules_deinit(&rules);
    assert_ok(start("address", NULL, proxies, &e));
    assert_int_equal(client("unix", "1.2.3.4"), 0);
    client_rules_deinit(&rules);
}

/* All of IPv6 is not all of IPv4. */
static void test_networks_of_one_family(void **state) {
    (void)state;
    static const char *const all6[] = {"::/0", NULL}, *const all4[] = {"0.0.0.0/0", NULL},
                             *const mapped[] = {"::ffff:10.0.0.0/104", NULL};
    struct error e;
    assert_ok(start("address", NULL, all6, &e));
    expect("2001:db8::1", "1.2.3.4", "1.2.3.4");
    expect("5.6.7.8", "1.2.3.4", "5.6.7.8");
    client_rules_deinit(&rules);
    assert_ok(start("address", NULL, all4, &e));
    expect("5.6.7.8", "2001:db8::1", "2001:db8::1");
    expect("2001:db8::1", "1.2.3.4", "2001:db8::1");
    client_rules_deinit(&rules);
    assert_ok(start("address", NULL, mapped, &e));
    expect("10.1.2.3", "1.2.3.4", "1.2.3.4");
    expect("11.1.2.3", "1.2.3.4", "11.1.2.3");
    client_rules_deinit(&rules);
}

/* Random bytes as headers: never more than a client, and always the peer where it is not trusted. */
static void test_random_headers(void **state) {
    (void)state;
    static const char bytes[] = "0123456789abcdef.:[],,  \t%/-x\xff\x01";
    struct error e;
    char text[200];
    assert_ok(start("address", NULL, proxies, &e));
    srand(9);
    for (int round = 0; round < 200000; round++) {
        size_t length = (size_t)rand() % (sizeof text - 1);
        for (size_t i = 0; i < length; i++) text[i] = bytes[(size_t)rand() % (sizeof bytes - 1)];
        text[length] = '\0';
        const char *line = text;
        client_by_address(&rules, peer_of("10.1.1.1"), &line, 1);
        assert_int_equal(client_by_address(&rules, peer_of("1.2.3.4"), &line, 1), client("1.2.3.4", NULL));
    }
    client_rules_deinit(&rules);
}

/* The address itself, for the log. */
static void test_texts(void **state) {
    (void)state;
    const struct client_rules none = {0};
    struct client_address address;
    char text[CLIENT_TEXT_BYTES];
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000207)};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    static const char *const forwarded[] = {"9.9.9.9"};
    assert_true(client_address_find(&none, (const struct sockaddr *)&ipv4, forwarded, 1, &address));
    client_address_write(&address, text);
    assert_string_equal(text, "192.0.2.7"); /* who is not trusted is believed nothing */
    assert_int_equal(inet_pton(AF_INET6, "2001:db8:1111:2222:3333:4444:5555:6666", &ipv6.sin6_addr), 1);
    assert_true(client_address_find(&none, (const struct sockaddr *)&ipv6, NULL, 0, &address));
    client_address_write(&address, text);
    assert_string_equal(text, "2001:db8:1111:2222:3333:4444:5555:6666");
    assert_false(client_address_find(&none, (const struct sockaddr *)&local, forwarded, 1, &address));
    assert_false(client_address_find(&none, NULL, forwarded, 1, &address));
    const struct client_rules trusting = {.trusts_unix = true};
    assert_true(client_address_find(&trusting, (const struct sockaddr *)&local, forwarded, 1, &address));
    client_address_write(&address, text);
    assert_string_equal(text, "9.9.9.9");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_peers),
        cmocka_unit_test(test_forwarded),
        cmocka_unit_test(test_forwarded_is_bounded),
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_networks_of_one_family),
        cmocka_unit_test(test_random_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
