#define _POSIX_C_SOURCE 200809L
#include "relay.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 16 /* connections at once */

/* A client's connection and ours to the server; `relay` is NULL while the place is free. */
struct pair { struct relay *relay; int ends[2]; };

struct relay {
    pthread_mutex_t lock;
    int door, down;
    char address[32];
    struct addrinfo *server;
    struct pair pairs[MOST];
};

static void give_up(const char *what) {
    perror(what);
    exit(2);
}

static int move(int from, int to) {
    char bytes[16384];
    ssize_t length = read(from, bytes, sizeof bytes);
    if (length <= 0) return 0;
    for (ssize_t at = 0; at < length;) {
        ssize_t written = send(to, bytes + at, (size_t)(length - at), MSG_NOSIGNAL);
        if (written <= 0) return 0;
        at += written;
    }
    return 1;
}

/* Copies both ways until either end is gone or cut. */
static void *copy(void *argument) {
    struct pair *pair = argument;
    struct relay *relay = pair->relay;
    struct pollfd ready[2] = {{.fd = pair->ends[0], .events = POLLIN}, {.fd = pair->ends[1], .events = POLLIN}};
    int open = 1;
    while (open && poll(ready, 2, -1) > 0)
        for (int i = 0; i < 2 && open; i++)
            if (ready[i].revents) open = move(ready[i].fd, ready[1 - i].fd);
    pthread_mutex_lock(&relay->lock); /* whoever cuts must not meet a number that is another's by then */
    close(pair->ends[0]);
    close(pair->ends[1]);
    pair->relay = NULL;
    pthread_mutex_unlock(&relay->lock);
    return NULL;
}

static int dial(const struct addrinfo *server) {
    int on = 1, fd = socket(server->ai_family, SOCK_STREAM, 0);
    if (fd < 0) give_up("relay: socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, server->ai_addr, server->ai_addrlen) == 0) return fd;
    close(fd);
    return -1;
}

/* Whether the connection goes through. */
static int join(struct relay *relay, int client) {
    pthread_t thread;
    struct pair *pair = relay->pairs;
    int upstream = relay->down ? -1 : dial(relay->server);
    if (upstream < 0) return 0;
    while (pair < relay->pairs + MOST && pair->relay) pair++;
    if (pair == relay->pairs + MOST) {
        fprintf(stderr, "relay: more than %d connections\n", MOST);
        exit(2);
    }
    *pair = (struct pair){relay, {client, upstream}};
    if (pthread_create(&thread, NULL, copy, pair)) give_up("relay: thread");
    pthread_detach(thread);
    return 1;
}

static void *admit(void *argument) {
    struct relay *relay = argument;
    for (;;) {
        int on = 1, client = accept(relay->door, NULL, NULL);
        if (client < 0) give_up("relay: accept");
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        pthread_mutex_lock(&relay->lock);
        if (!join(relay, client)) close(client);
        pthread_mutex_unlock(&relay->lock);
    }
    return NULL;
}

struct relay *relay_start(const char *server) {
    struct relay *relay = calloc(1, sizeof *relay);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    socklen_t length = sizeof own;
    const char *colon = strrchr(server, ':');
    char host[256];
    pthread_t thread;
    if (!relay || !colon || colon - server >= (long)sizeof host) give_up("relay: HOST:PORT");
    snprintf(host, sizeof host, "%.*s", (int)(colon - server), server);
    if (getaddrinfo(host, colon + 1, &hints, &relay->server)) give_up("relay: address");
    pthread_mutex_init(&relay->lock, NULL);
    relay->door = socket(AF_INET, SOCK_STREAM, 0);
    if (relay->door < 0 || bind(relay->door, (struct sockaddr *)&own, sizeof own) || listen(relay->door, 16)
        || getsockname(relay->door, (struct sockaddr *)&own, &length))
        give_up("relay: listen");
    snprintf(relay->address, sizeof relay->address, "127.0.0.1:%d", ntohs(own.sin_port));
    if (pthread_create(&thread, NULL, admit, relay)) give_up("relay: thread");
    pthread_detach(thread);
    return relay;
}

const char *relay_address(const struct relay *relay) {
    return relay->address;
}

void relay_down(struct relay *relay) {
    pthread_mutex_lock(&relay->lock);
    relay->down = 1;
    for (int i = 0; i < MOST; i++)
        for (int end = 0; relay->pairs[i].relay && end < 2; end++) shutdown(relay->pairs[i].ends[end], SHUT_RDWR);
    pthread_mutex_unlock(&relay->lock);
}

void relay_up(struct relay *relay) {
    pthread_mutex_lock(&relay->lock);
    relay->down = 0;
    pthread_mutex_unlock(&relay->lock);
}
