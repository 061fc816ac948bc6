// Takes the place of server_help_test.go in go-zookeeper's test suite: the same names, but ports are free ones,
// and a server is up once it answers srvr with its version. (The suite reads all of 3.5's answer, which 3.9 writes
// otherwise.)
package zk

import (
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	_testConfigName   = "zoo.cfg"
	_testMyIDFileName = "myid"
	startLimit        = 60 * time.Second // far above what a sound server needs, to start or to end
	look              = 10 * time.Millisecond
	question          = 2 * time.Second // Java's server never answers one that comes at the wrong moment of its start
)

type TestServer struct {
	Port   int
	Path   string
	Srv    *server
	Config ServerConfigServer
}

type TestCluster struct {
	Path    string
	Config  ServerConfig
	Servers []TestServer
}

// freePorts are different ones that nobody uses, below those that Linux gives to connections: one of them may be
// gone when a server that was killed starts again.
func freePorts(t *testing.T, count int) []int {
	var ports []int
	for tries := 0; len(ports) < count; tries++ {
		if tries > 1000 {
			t.Fatal("a thousand ports of the loopback are all in use")
		}
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.Intn(22000)))
		if err != nil {
			continue
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

func StartTestCluster(t *testing.T, size int, stdout, stderr io.Writer) (*TestCluster, error) {
	t.Helper()
	cluster := &TestCluster{Path: t.TempDir()}
	ports := freePorts(t, 3*size)
	var members []ServerConfigServer
	for i := 0; i < size; i++ {
		members = append(members, ServerConfigServer{
			ID: i + 1, Host: "127.0.0.1", PeerPort: ports[3*i+1], LeaderElectionPort: ports[3*i+2],
		})
	}
	for i, member := range members {
		path := filepath.Join(cluster.Path, fmt.Sprintf("srv%d", member.ID))
		requireNoErrorf(t, os.Mkdir(path, 0o700), "making a folder")
		cluster.Config = ServerConfig{ClientPort: ports[3*i], DataDir: path, Servers: members}
		config := filepath.Join(path, _testConfigName)
		file, err := os.Create(config)
		requireNoErrorf(t, err, "making a configuration")
		requireNoErrorf(t, cluster.Config.Marshall(file), "writing a configuration")
		requireNoErrorf(t, file.Close(), "writing a configuration")
		id := []byte(fmt.Sprintln(member.ID))
		requireNoErrorf(t, os.WriteFile(filepath.Join(path, _testMyIDFileName), id, 0o600), "writing myid")
		srv, err := NewIntegrationTestServer(t, config, stdout, stderr)
		requireNoErrorf(t, err, "naming a server")
		if err := srv.Start(); err != nil {
			return nil, err
		}
		cluster.Servers = append(cluster.Servers, TestServer{ports[3*i], path, srv, member})
	}
	if err := cluster.await(true); err != nil {
		cluster.StopAllServers()
		return nil, err
	}
	return cluster, nil
}

// await returns once every server serves, or none does.
func (tc *TestCluster) await(up bool) error {
	for end := time.Now().Add(startLimit); ; time.Sleep(look) {
		settled := true
		for _, srv := range tc.Servers {
			answer, err := fourLetterWord(fmt.Sprintf("127.0.0.1:%d", srv.Port), "srvr", question)
			serves := err == nil && strings.HasPrefix(string(answer), "Zookeeper version")
			settled = settled && serves == up
		}
		if settled {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("after %v the servers were still not as they should (up: %v)", startLimit, up)
		}
	}
}

func (tc *TestCluster) Connect(idx int) (*Conn, <-chan Event, error) {
	return Connect([]string{fmt.Sprintf("127.0.0.1:%d", tc.Servers[idx].Port)}, time.Second*15)
}

func (tc *TestCluster) ConnectAll() (*Conn, <-chan Event, error) {
	return tc.ConnectAllTimeout(time.Second * 15)
}

func (tc *TestCluster) ConnectAllTimeout(sessionTimeout time.Duration) (*Conn, <-chan Event, error) {
	return tc.ConnectWithOptions(sessionTimeout)
}

func (tc *TestCluster) ConnectWithOptions(sessionTimeout time.Duration, options ...connOption) (*Conn, <-chan Event, error) {
	var hosts []string
	for _, srv := range tc.Servers {
		hosts = append(hosts, fmt.Sprintf("127.0.0.1:%d", srv.Port))
	}
	return Connect(hosts, sessionTimeout, options...)
}

func (tc *TestCluster) Stop() error {
	return tc.StopAllServers()
}

func (tc *TestCluster) StopAllServers() error {
	for _, srv := range tc.Servers {
		srv.Srv.Stop() // killed, as in the original: its error is the signal
	}
	return tc.await(false)
}

func (tc *TestCluster) StartAllServers() error {
	for _, srv := range tc.Servers {
		if err := srv.Srv.Start(); err != nil {
			return err
		}
	}
	return tc.await(true)
}

func (tc *TestCluster) of(address string) *server {
	for _, srv := range tc.Servers {
		if strings.HasSuffix(address, fmt.Sprintf(":%d", srv.Port)) {
			return srv.Srv
		}
	}
	panic("unknown server: " + address)
}

func (tc *TestCluster) StartServer(address string) {
	tc.of(address).Start()
}

func (tc *TestCluster) StopServer(address string) {
	tc.of(address).Stop()
}

func requireNoErrorf(t *testing.T, err error, msgAndArgs ...interface{}) {
	t.Helper()
	if err != nil {
		t.Logf("received unexpected error: %v", err)
		t.Fatal(msgAndArgs...)
	}
}
