package paddock.failover;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import org.apache.zookeeper.CreateMode;

/** HOSTS: two Curator clients that share a mutex, a latch and a watched znode; see run.py. */
final class Main {
    private final Faults faults = new Faults();
    private final List<Client> clients = new ArrayList<>();
    private final List<Mutex> mutexes = new ArrayList<>();
    private final List<Latch> latches = new ArrayList<>();
    private final List<Watch> watches = new ArrayList<>();
    private final List<Work> works = new ArrayList<>();

    private Main(String hosts) throws Exception {
        for (String name : List.of("a", "b")) {
            clients.add(new Client(hosts, name, faults));
        }
        for (String path : List.of(Mutex.FENCE, Latch.TERM, Latch.ACTS, Watch.PATH)) {
            clients.get(0).curator.create().creatingParentsIfNeeded().withMode(CreateMode.PERSISTENT)
                    .forPath(path, "nobody".getBytes());
        }
        for (Client client : clients) {
            client.catchUp();
            Mutex mutex = new Mutex(client, faults);
            Latch latch = new Latch(client, faults);
            mutexes.add(mutex);
            latches.add(latch);
            watches.add(new Watch(client, faults));
            works.add(new Work("mutex of " + client.name, faults, mutex::hold));
            works.add(new Work("latch of " + client.name, faults, latch::lead));
        }
    }

    public static void main(String[] args) throws Exception {
        Main main = new Main(args[0]);
        main.getsOn();
        System.out.println("ready");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        while ("killed".equals(in.readLine())) {
            main.killed();
            System.out.println("again");
        }
        main.end();
        System.exit(0);
    }

    /** While a member is away. */
    private void killed() throws Exception {
        for (Watch watch : watches) {
            watch.unchanged();
        }
        clients.get(0).curator.setData().forPath(Watch.PATH);
        clients.get(0).curator.setData().forPath(Watch.PATH);
        for (Watch watch : watches) {
            watch.changed();
        }
        getsOn();
        for (Client client : clients) {
            client.lookAtSession();
        }
    }

    /** Each holds the mutex and leads anew: twice, so that once it has begun after we asked. */
    private void getsOn() throws Exception {
        List<Integer> held = mutexes.stream().map(Mutex::held).toList();
        List<Integer> terms = latches.stream().map(Latch::terms).toList();
        for (int i = 0; i < clients.size(); i++) {
            int at = i;
            if (!Client.eventually(() -> mutexes.get(at).held() >= held.get(at) + 2)) {
                faults.add(Claim.MUTEX_AGAIN, clients.get(at).name + " did not");
            }
            if (!Client.eventually(() -> latches.get(at).terms() >= terms.get(at) + 2)) {
                faults.add(Claim.LATCH_AGAIN, clients.get(at).name + " did not");
            }
        }
    }

    private void end() throws Exception {
        works.forEach(Work::stop);
        for (Work work : works) {
            if (!work.ends()) {
                faults.add(Claim.PROGRESS, "a thread never ended");
            }
        }
        Client judge = clients.get(0);
        judge.catchUp();
        int acts = Latch.judge(judge, faults);
        int held = mutexes.stream().mapToInt(Mutex::held).sum();
        for (Client client : clients) {
            client.lookAtSession();
        }
        System.out.println("     java: the mutex was held " + held + " times, leaders acted " + acts + " times");
        for (int i = 0; i < clients.size(); i++) {
            latches.get(i).leave();
            clients.get(i).close();
        }
        faults.tell(EnumSet.range(Claim.MUTEX, Claim.PROGRESS));
    }
}
