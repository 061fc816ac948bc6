package main

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// limit is how long any single wait may take: far above what a sound server needs, on a loaded machine too.
const limit = 60 * time.Second

const sessionTimeout = 20 * time.Second

// Peer is one client whose connection can be cut.
type Peer struct {
	*zk.Conn
	states chan zk.State

	mutex sync.Mutex
	conn  net.Conn
	down  bool
}

type silent struct{}

func (silent) Printf(string, ...interface{}) {}

// connect returns a client that has its session.
func connect(server string) (*Peer, error) {
	peer := &Peer{states: make(chan zk.State, 1000)}
	tell := func(event zk.Event) {
		if event.Type == zk.EventSession {
			peer.states <- event.State
		}
	}
	conn, _, err := zk.Connect([]string{server}, sessionTimeout,
		zk.WithDialer(peer.dial), zk.WithEventCallback(tell), zk.WithLogger(silent{}), zk.WithLogInfo(false))
	if err != nil {
		return nil, err
	}
	peer.Conn = conn
	return peer, peer.await(zk.StateHasSession)
}

func (peer *Peer) dial(network, address string, timeout time.Duration) (net.Conn, error) {
	peer.mutex.Lock()
	defer peer.mutex.Unlock()
	if peer.down {
		return nil, errors.New("cut off")
	}
	conn, err := net.DialTimeout(network, address, timeout)
	peer.conn = conn
	return conn, err
}

func (peer *Peer) await(wanted zk.State) error {
	end := time.After(limit)
	for {
		select {
		case state := <-peer.states:
			if state == wanted {
				return nil
			}
		case <-end:
			return fmt.Errorf("the connection never became %v", wanted)
		}
	}
}

// reconnect cuts the connection, runs meanwhile while the client knows that it is cut off, and returns once it has
// the connection again, on the same session.
func (peer *Peer) reconnect(meanwhile func() error) error {
	before := peer.SessionID()
	peer.mutex.Lock()
	peer.down = true
	peer.conn.Close()
	peer.mutex.Unlock()
	if err := peer.await(zk.StateDisconnected); err != nil {
		return err
	}
	if err := meanwhile(); err != nil {
		return err
	}
	peer.mutex.Lock()
	peer.down = false
	peer.mutex.Unlock()
	if err := peer.await(zk.StateHasSession); err != nil {
		return err
	}
	return equal("session after the reconnect", before, peer.SessionID())
}

func nothing() error { return nil }
