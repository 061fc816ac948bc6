/* A TCP relay in front of the server, so that one client's connection can be cut without touching the others. */
#ifndef RELAY_H
#define RELAY_H

struct relay;

/* Starts one to `server`, HOST:PORT; it lives as long as the program, which ends if there can be none. */
struct relay *relay_start(const char *server);
/* Where clients connect. */
const char *relay_address(const struct relay *relay);
/* Ends every connection, and the next ones too, until `relay_up`. */
void relay_down(struct relay *relay);
void relay_up(struct relay *relay);

#endif
