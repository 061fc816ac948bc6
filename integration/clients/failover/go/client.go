package main

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
)

const (
	// limit is how long any single wait may take: far above what a sound ensemble needs.
	limit          = 60 * time.Second
	sessionTimeout = 20 * time.Second
	pause          = 5 * time.Millisecond // between two looks at what is waited for
)

// Client is one client of all members, which must keep its session.
type Client struct {
	*zk.Conn
	name    string
	session int64
	expired atomic.Bool
	losses  atomic.Int64 // how often the connection was lost
	onLoss  atomic.Value // a func() to be called then
}

type silent struct{}

func (silent) Printf(string, ...interface{}) {}

// connect returns a client that has its session.
func connect(hosts []string, name string) (*Client, error) {
	client := &Client{name: name}
	has := make(chan struct{}, 1000)
	tell := func(event zk.Event) {
		switch {
		case event.Type != zk.EventSession:
		case event.State == zk.StateExpired:
			client.expired.Store(true)
		case event.State == zk.StateDisconnected:
			client.losses.Add(1)
			if tell, ok := client.onLoss.Load().(func()); ok {
				tell()
			}
		case event.State == zk.StateHasSession:
			select {
			case has <- struct{}{}:
			default:
			}
		}
	}
	conn, _, err := zk.Connect(hosts, sessionTimeout,
		zk.WithEventCallback(tell), zk.WithLogger(silent{}), zk.WithLogInfo(false))
	if err != nil {
		return nil, err
	}
	client.Conn = conn
	select {
	case <-has:
	case <-time.After(limit):
		return nil, fmt.Errorf("no session within %v", limit)
	}
	client.session = conn.SessionID()
	return client, nil
}

// isLost tells whether err leaves open what happened.
func isLost(err error) bool {
	return errors.Is(err, zk.ErrConnectionClosed) || errors.Is(err, zk.ErrNoServer)
}

// again runs act until it does not fail for want of a connection.
func again(act func() error) error {
	for {
		if err := act(); !isLost(err) {
			return err
		}
		time.Sleep(pause)
	}
}

// catchUp returns once this client's member has all that was written before.
func (client *Client) catchUp() error {
	return again(func() error { _, err := client.Sync("/"); return err })
}

// settle is what act returns, or, where the connection was lost meanwhile, whether landed finds that it happened; it
// acts again if not.
func (client *Client) settle(act func() error, landed func() (bool, error)) error {
	for {
		err := act()
		if !isLost(err) {
			return err
		}
		if err := client.catchUp(); err != nil {
			return err
		}
		var done bool
		err = again(func() (err error) { done, err = landed(); return })
		if err != nil || done {
			return err
		}
	}
}

// mine is nil if the client still has the session that it began with.
func (client *Client) mine() error {
	if client.expired.Load() {
		return fmt.Errorf("%s: the session expired", client.name)
	}
	if id := client.SessionID(); id != client.session {
		return fmt.Errorf("%s: session %x, not %x", client.name, id, client.session)
	}
	return nil
}
