package paddock.failover;

/** A thread that repeats one step until it is told to stop; its early end is a fault. */
final class Work {
    private final Thread thread;
    private volatile boolean over;
    private volatile boolean failed;

    interface Step {
        void run(int number) throws Exception;
    }

    Work(String name, Faults faults, Step step) {
        thread = new Thread(() -> {
            try {
                for (int number = 1; !over; number++) {
                    step.run(number);
                }
            } catch (Exception e) {
                failed = true;
                faults.add(Claim.PROGRESS, name + " ended with " + e);
            }
        }, name);
        thread.setDaemon(true);
        thread.start();
    }

    void stop() {
        over = true;
    }

    boolean failed() {
        return failed;
    }

    boolean ends() throws InterruptedException {
        thread.join(Client.LIMIT_S * 1_000L);
        return !thread.isAlive();
    }
}
