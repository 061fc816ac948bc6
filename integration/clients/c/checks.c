/* checks HOST:PORT: what a C program does with a ZooKeeper server, through the synchronous API.
 * Prints a line for each check and "N passed, N failed". A wait is on a condition, with a limit
 * far above what a sound server needs. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "relay.h"
#include "zookeeper.h"

#define LIMIT_S 60
#define SESSION_MS 20000
#define EVENTS 16

/* What a watcher was told, in order. */
struct heard {
    pthread_mutex_t lock;
    pthread_cond_t more;
    int count, taken;
    struct { int type, state; char path[256]; } events[EVENTS];
};

static char folder[64]; /* of this run */
static int failures;    /* of the check that runs */

static void expect(int holds, const char *format, ...) {
    va_list args;
    if (holds) return;
    failures++;
    va_start(args, format);
    printf("  does not hold: ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

#define EXPECT(condition) expect((condition), "line %d: %s", __LINE__, #condition)
#define EXPECT_RC(wanted, call) do { \
        int rc_ = (call); \
        expect(rc_ == (wanted), "line %d: %s: %s, not %s", __LINE__, #call, zerror(rc_), zerror(wanted)); \
    } while (0)

static void hear(zhandle_t *zk, int type, int state, const char *path, void *context) {
    struct heard *heard = context;
    (void)zk;
    pthread_mutex_lock(&heard->lock);
    if (heard->count < EVENTS) {
        heard->events[heard->count].type = type;
        heard->events[heard->count].state = state;
        snprintf(heard->events[heard->count].path, sizeof heard->events[0].path, "%s", path ? path : "");
        heard->count++;
    }
    pthread_cond_signal(&heard->more);
    pthread_mutex_unlock(&heard->lock);
}

/* Like `hear`, but not the states of the connection, which a client tells to all its watchers. */
static void hear_change(zhandle_t *zk, int type, int state, const char *path, void *context) {
    if (type != ZOO_SESSION_EVENT) hear(zk, type, state, path, context);
}

/* Waits for the next event and holds it to what is wanted; `path` may be NULL for any. */
static void next(struct heard *heard, int type, int state, const char *path) {
    struct timespec limit;
    int rc = 0;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += LIMIT_S;
    pthread_mutex_lock(&heard->lock);
    while (heard->taken == heard->count && rc == 0)
        rc = pthread_cond_timedwait(&heard->more, &heard->lock, &limit);
    if (rc != 0) {
        expect(0, "no event within %d s; wanted type %d on %s", LIMIT_S, type, path ? path : "any path");
    } else {
        int i = heard->taken++;
        expect(heard->events[i].type == type, "event type %d, not %d", heard->events[i].type, type);
        expect(heard->events[i].state == state, "event state %d, not %d", heard->events[i].state, state);
        expect(!path || !strcmp(heard->events[i].path, path), "event on %s, not %s", heard->events[i].path, path);
    }
    pthread_mutex_unlock(&heard->lock);
}

/* How many events it was told of. */
static int told(struct heard *heard) {
    pthread_mutex_lock(&heard->lock);
    int count = heard->count;
    pthread_mutex_unlock(&heard->lock);
    return count;
}

static void init(struct heard *heard) {
    memset(heard, 0, sizeof *heard);
    pthread_mutex_init(&heard->lock, NULL);
    pthread_cond_init(&heard->more, NULL);
}

static zhandle_t *connect_to(const char *hosts, struct heard *states) {
    init(states);
    zhandle_t *zk = zookeeper_init(hosts, hear, SESSION_MS, NULL, states, 0);
    if (!zk) {
        perror("zookeeper_init");
        exit(2);
    }
    next(states, ZOO_SESSION_EVENT, ZOO_CONNECTED_STATE, NULL);
    return zk;
}

/* Good until 16 calls later: ops of a multi keep the pointer. */
static const char *in_folder(const char *name) {
    static char paths[16][128];
    static int turn;
    char *path = paths[turn++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int create(zhandle_t *zk, const char *path, const char *data, int mode, char *made, int size) {
    return zoo_create(zk, path, data, (int)strlen(data), &ZOO_OPEN_ACL_UNSAFE, mode, made, size);
}

static void life(zhandle_t *one, zhandle_t *two) {
    char data[64], path[128];
    int length = sizeof data;
    struct Stat stat, after;
    struct heard heard;
    init(&heard);
    EXPECT_RC(ZOK, create(one, in_folder("a"), "one", 0, path, sizeof path));
    EXPECT(!strcmp(path, in_folder("a")));
    EXPECT_RC(ZNODEEXISTS, create(two, path, "", 0, NULL, 0));
    EXPECT_RC(ZOK, zoo_wget(two, path, hear, &heard, data, &length, &stat));
    EXPECT(length == 3 && !memcmp(data, "one", 3) && stat.version == 0 && stat.czxid == stat.mzxid);
    EXPECT_RC(ZBADVERSION, zoo_set(one, path, "no", 2, 5));
    EXPECT_RC(ZOK, zoo_set2(one, path, "second", 6, stat.version, &after));
    EXPECT(after.version == 1 && after.mzxid > stat.mzxid && after.dataLength == 6);
    next(&heard, ZOO_CHANGED_EVENT, ZOO_CONNECTED_STATE, path);
    EXPECT_RC(ZOK, zoo_wexists(two, path, hear, &heard, &stat));
    EXPECT(stat.mzxid == after.mzxid);
    EXPECT_RC(ZBADVERSION, zoo_delete(one, path, 0));
    EXPECT_RC(ZOK, zoo_delete(one, path, 1));
    next(&heard, ZOO_DELETED_EVENT, ZOO_CONNECTED_STATE, path);
    EXPECT_RC(ZNONODE, zoo_exists(two, path, 0, &stat));
}

static void children(zhandle_t *one, zhandle_t *two) {
    char made[128];
    struct String_vector names;
    struct Stat stat;
    struct heard heard;
    init(&heard);
    EXPECT_RC(ZOK, create(one, in_folder("queue"), "", 0, NULL, 0));
    EXPECT_RC(ZOK, zoo_wget_children(two, in_folder("queue"), hear, &heard, &names));
    EXPECT(names.count == 0);
    deallocate_String_vector(&names);
    for (int i = 0; i < 3; i++) {
        char wanted[128];
        snprintf(wanted, sizeof wanted, "%s%010d", in_folder("queue/item-"), i);
        EXPECT_RC(ZOK, create(one, in_folder("queue/item-"), "", ZOO_SEQUENCE, made, sizeof made));
        expect(!strcmp(made, wanted), "made %s, not %s", made, wanted);
    }
    next(&heard, ZOO_CHILD_EVENT, ZOO_CONNECTED_STATE, in_folder("queue"));
    EXPECT_RC(ZOK, zoo_get_children2(two, in_folder("queue"), 0, &names, &stat));
    EXPECT(names.count == 3 && stat.numChildren == 3);
    deallocate_String_vector(&names);
    EXPECT_RC(ZNOTEMPTY, zoo_delete(one, in_folder("queue"), -1));
}

static void multi(zhandle_t *one, zhandle_t *two) {
    char made[128];
    struct Stat x, y;
    zoo_op_t ops[4];
    zoo_op_result_t results[4];
    zoo_create_op_init(&ops[0], in_folder("x"), "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made);
    zoo_create_op_init(&ops[1], in_folder("x/y"), "2", 1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
    zoo_check_op_init(&ops[2], in_folder("x"), 3);
    EXPECT_RC(ZBADVERSION, zoo_multi(one, 3, ops, results));
    EXPECT(results[0].err == ZOK && results[2].err == ZBADVERSION);
    EXPECT_RC(ZNONODE, zoo_exists(two, in_folder("x"), 0, &x));
    zoo_check_op_init(&ops[2], in_folder("x"), 0);
    zoo_set_op_init(&ops[3], in_folder("x"), "3", 1, 0, &x);
    EXPECT_RC(ZOK, zoo_multi(one, 4, ops, results));
    EXPECT(!strcmp(made, in_folder("x")) && x.version == 1);
    EXPECT_RC(ZOK, zoo_exists(one, in_folder("x/y"), 0, &y));
    EXPECT(x.mzxid == y.czxid);
}

static void sessions(const char *hosts, zhandle_t *one) {
    struct heard states, heard;
    struct Stat stat;
    init(&heard);
    zhandle_t *two = connect_to(hosts, &states);
    int64_t id = zoo_client_id(two)->client_id;
    EXPECT(id != 0 && id != zoo_client_id(one)->client_id);
    EXPECT_RC(ZOK, create(two, in_folder("alive"), "", ZOO_EPHEMERAL, NULL, 0));
    EXPECT_RC(ZNOCHILDRENFOREPHEMERALS, create(two, in_folder("alive/child"), "", 0, NULL, 0));
    EXPECT_RC(ZOK, zoo_wexists(one, in_folder("alive"), hear, &heard, &stat));
    EXPECT(stat.ephemeralOwner == id);
    EXPECT_RC(ZOK, zookeeper_close(two));
    next(&heard, ZOO_DELETED_EVENT, ZOO_CONNECTED_STATE, in_folder("alive"));
    EXPECT_RC(ZNONODE, zoo_exists(one, in_folder("alive"), 0, &stat));
}

struct completion { struct heard heard; int rc; };

static void on_auth(int rc, const void *data) {
    struct completion *done = (struct completion *)data;
    done->rc = rc;
    hear(NULL, 1, 1, "", &done->heard);
}

static void acls(zhandle_t *one, zhandle_t *two) {
    char data[8];
    int length = sizeof data;
    struct completion done = {.rc = -1};
    init(&done.heard);
    EXPECT_RC(ZOK, zoo_add_auth(one, "digest", "user:secret", 11, on_auth, &done));
    next(&done.heard, 1, 1, NULL);
    EXPECT_RC(ZOK, done.rc);
    EXPECT_RC(ZOK, zoo_create(one, in_folder("private"), "x", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0));
    EXPECT_RC(ZNOAUTH, zoo_get(two, in_folder("private"), 0, data, &length, NULL));
    length = sizeof data;
    EXPECT_RC(ZOK, zoo_get(one, in_folder("private"), 0, data, &length, NULL));
    EXPECT(length == 1 && data[0] == 'x');
}

/* A turn in line for a lock, as ZooKeeper's recipe has it: an ephemeral with a number. */
struct turn { zhandle_t *zk; const char *lock; char path[128]; struct heard before; };

static void stand_in_line(struct turn *turn, zhandle_t *zk, const char *lock) {
    char prefix[128];
    turn->zk = zk;
    turn->lock = lock;
    init(&turn->before);
    snprintf(prefix, sizeof prefix, "%s/turn-", lock);
    EXPECT_RC(ZOK, create(zk, prefix, "", ZOO_EPHEMERAL | ZOO_SEQUENCE, turn->path, sizeof turn->path));
}

/* Whether nobody is before it: then it holds the lock. If somebody is, the one next before it is watched. */
static int is_first(struct turn *turn) {
    for (;;) {
        const char *own = turn->path + strlen(turn->lock) + 1, *next_before = NULL;
        char path[256];
        struct String_vector names;
        int rc = zoo_get_children(turn->zk, turn->lock, 0, &names);
        EXPECT_RC(ZOK, rc);
        if (rc != ZOK) return 0;
        for (int i = 0; i < names.count; i++)
            if (strcmp(names.data[i], own) < 0 && (!next_before || strcmp(names.data[i], next_before) > 0))
                next_before = names.data[i];
        if (next_before) snprintf(path, sizeof path, "%s/%s", turn->lock, next_before);
        int alone = !next_before;
        deallocate_String_vector(&names);
        if (alone) return 1;
        rc = zoo_wexists(turn->zk, path, hear_change, &turn->before, NULL);
        if (rc != ZNONODE) { /* or it went meanwhile: look again */
            EXPECT_RC(ZOK, rc);
            return 0;
        }
    }
}

/* Told that the one before it is gone; `path` is that one's. */
static void await_turn(struct turn *turn, const char *path) {
    next(&turn->before, ZOO_DELETED_EVENT, ZOO_CONNECTED_STATE, path);
    EXPECT(is_first(turn));
}

static void on_sync(int rc, const char *path, const void *data) {
    hear(NULL, ZOO_SESSION_EVENT, rc, path, (void *)data);
}

/* Returns once watchers have been told of all that has come: they and this call's end are told in order. */
static void settle(zhandle_t *zk) {
    struct heard done;
    init(&done);
    EXPECT_RC(ZOK, zoo_async(zk, "/", on_sync, &done));
    next(&done, ZOO_SESSION_EVENT, ZOK, NULL);
}

/* Two clients; one is cut off, misses what the other does, and comes back: its session, ephemerals, watches
 * and locks are still its own. */
static void reconnects(const char *hosts, zhandle_t *one) {
    char data[8];
    int length = 0;
    struct Stat before, after;
    struct String_vector names;
    struct heard states, changed, made, children, quiet, alive;
    struct turn held, behind_held, ahead, waiting;
    struct relay *relay = relay_start(hosts);
    zhandle_t *two = connect_to(relay_address(relay), &states);
    int64_t id = zoo_client_id(two)->client_id;
    for (const char **name = (const char *[]){"changed", "quiet", "parent", "held", "awaited", NULL}; *name; name++)
        EXPECT_RC(ZOK, create(one, in_folder(*name), "", 0, NULL, 0));
    EXPECT_RC(ZOK, create(two, in_folder("own"), "", ZOO_EPHEMERAL, NULL, 0));
    EXPECT_RC(ZOK, zoo_exists(one, in_folder("own"), 0, &before));

    for (struct heard **heard = (struct heard *[]){&changed, &made, &children, &quiet, &alive, NULL}; *heard; heard++)
        init(*heard);
    EXPECT_RC(ZOK, zoo_wget(two, in_folder("changed"), hear_change, &changed, data, &length, NULL));
    EXPECT_RC(ZNONODE, zoo_wexists(two, in_folder("made"), hear_change, &made, NULL));
    EXPECT_RC(ZOK, zoo_wget_children(two, in_folder("parent"), hear_change, &children, &names));
    deallocate_String_vector(&names);
    EXPECT_RC(ZOK, zoo_wexists(two, in_folder("quiet"), hear_change, &quiet, NULL));
    EXPECT_RC(ZOK, zoo_wexists(one, in_folder("own"), hear_change, &alive, NULL));
    char lock[2][128];
    snprintf(lock[0], sizeof lock[0], "%s", in_folder("held"));
    snprintf(lock[1], sizeof lock[1], "%s", in_folder("awaited"));
    stand_in_line(&held, two, lock[0]);
    stand_in_line(&behind_held, one, lock[0]);
    stand_in_line(&ahead, one, lock[1]);
    stand_in_line(&waiting, two, lock[1]);
    EXPECT(is_first(&held) && !is_first(&behind_held) && is_first(&ahead) && !is_first(&waiting));

    zoo_set_debug_level((ZooLogLevel)0); /* it reports the connection that we cut */
    relay_down(relay);
    next(&states, ZOO_SESSION_EVENT, ZOO_CONNECTING_STATE, NULL);
    EXPECT_RC(ZOK, zoo_set(one, in_folder("changed"), "x", 1, -1));
    EXPECT_RC(ZOK, create(one, in_folder("made"), "", 0, NULL, 0));
    EXPECT_RC(ZOK, create(one, in_folder("parent/child"), "", 0, NULL, 0));
    EXPECT_RC(ZOK, zoo_delete(one, ahead.path, -1));
    EXPECT(!is_first(&behind_held));
    relay_up(relay);
    next(&states, ZOO_SESSION_EVENT, ZOO_CONNECTED_STATE, NULL);
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);

    EXPECT(zoo_client_id(two)->client_id == id);
    next(&changed, ZOO_CHANGED_EVENT, ZOO_CONNECTED_STATE, in_folder("changed"));
    next(&made, ZOO_CREATED_EVENT, ZOO_CONNECTED_STATE, in_folder("made"));
    next(&children, ZOO_CHILD_EVENT, ZOO_CONNECTED_STATE, in_folder("parent"));
    await_turn(&waiting, ahead.path);
    EXPECT_RC(ZOK, zoo_exists(two, in_folder("own"), 0, &after));
    EXPECT(after.ephemeralOwner == id && after.czxid == before.czxid);
    EXPECT(is_first(&held));
    settle(one);
    settle(two);
    EXPECT(told(&alive) == 0 && told(&behind_held.before) == 0 && told(&quiet) == 0);

    for (int i = 0; i < 2; i++) { /* a watch that had nothing to tell stays, and is told of one change */
        EXPECT_RC(ZOK, zoo_set(one, in_folder("changed"), "y", 1, -1));
        EXPECT_RC(ZOK, zoo_set(one, in_folder("quiet"), "y", 1, -1));
    }
    next(&quiet, ZOO_CHANGED_EVENT, ZOO_CONNECTED_STATE, in_folder("quiet"));
    EXPECT_RC(ZOK, zoo_delete(two, held.path, -1));
    await_turn(&behind_held, held.path);
    settle(two);
    EXPECT(told(&changed) == 1 && told(&made) == 1 && told(&children) == 1 && told(&quiet) == 1);
    EXPECT_RC(ZOK, zookeeper_close(two));
    next(&alive, ZOO_DELETED_EVENT, ZOO_CONNECTED_STATE, in_folder("own"));
}

int main(int count, char **args) {
    static const char *names[] = {"life of a znode", "children and sequence", "multi", "sessions", "acls",
        "a reconnect: session, ephemerals, watches and locks survive it"};
    enum { ALL = sizeof names / sizeof names[0] };
    struct heard states_one, states_two;
    int passed = 0, failed = 0;
    if (count != 2) {
        fprintf(stderr, "usage: checks HOST:PORT\n");
        return 2;
    }
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    zhandle_t *one = connect_to(args[1], &states_one), *two = connect_to(args[1], &states_two);
    EXPECT_RC(ZOK, create(one, "/c-client-", "", ZOO_SEQUENCE, folder, sizeof folder));
    for (int i = 0; i < ALL && (i > 0 || failures == 0); i++) {
        failures = 0;
        switch (i) {
        case 0: life(one, two); break;
        case 1: children(one, two); break;
        case 2: multi(one, two); break;
        case 3: sessions(args[1], one); break;
        case 4: acls(one, two); break;
        case 5: reconnects(args[1], one); break;
        }
        printf("%s %s\n", failures ? "FAIL" : "ok  ", names[i]);
        failures ? failed++ : passed++;
    }
    if (zookeeper_close(one) != ZOK || zookeeper_close(two) != ZOK) {
        printf("FAIL close\n");
        failed++;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed || passed < ALL;
}
