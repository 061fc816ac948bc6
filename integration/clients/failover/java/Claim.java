package paddock.failover;

/** What is claimed of the clients, and counted. */
enum Claim {
    MUTEX("InterProcessMutex: one holder at a time"),
    MUTEX_AGAIN("InterProcessMutex: each holds it again after each kill"),
    LATCH("LeaderLatch: nobody acts by a token while another leads"),
    LATCH_AGAIN("LeaderLatch: each leads again after each kill"),
    ACTS("what leaders did is in the order of their tokens, each token one leader's"),
    WATCH("a watch left before a kill fires once, at the change after it"),
    SESSION("no session is lost or changed"),
    PROGRESS("everything goes on"),
    // Of recipes in loops, whose words recipes.py has.
    FENCE(""),
    CACHE(""),
    PRESENT(""),
    AGAIN("");

    final String words;

    Claim(String words) {
        this.words = words;
    }
}
