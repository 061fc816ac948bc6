package main

import (
	"fmt"
	"time"

	"github.com/go-zookeeper/zk"
)

func oneShot(pair *Pair) error {
	path := pair.root + "/seen"
	_, _, created, err := pair.b.ExistsW(path)
	if err != nil {
		return err
	}
	_, _, child, err := pair.b.ChildrenW(pair.root)
	if err != nil {
		return err
	}
	if _, err := pair.a.Create(path, nil, 0, open); err != nil {
		return err
	}
	err = all(next(created, zk.EventNodeCreated, path), next(child, zk.EventNodeChildrenChanged, pair.root))
	if err != nil {
		return err
	}
	_, _, changed, err := pair.b.GetW(path)
	if err != nil {
		return err
	}
	for i := 0; i < 2; i++ {
		if _, err := pair.a.Set(path, []byte{byte(i)}, -1); err != nil {
			return err
		}
	}
	if err := next(changed, zk.EventNodeDataChanged, path); err != nil {
		return err
	}
	if _, err := pair.b.Sync(path); err != nil { // behind it, a second event would have come
		return err
	}
	if event, more := <-changed; more {
		return fmt.Errorf("a second event: %v", event)
	}
	return nil
}

func watchesSurvive(pair *Pair) error {
	quiet, gone, changed := pair.root+"/quiet", pair.root+"/gone", pair.root+"/changed"
	for _, path := range []string{quiet, gone, changed} {
		if _, err := pair.a.Create(path, nil, 0, open); err != nil {
			return err
		}
	}
	_, _, onQuiet, err := pair.b.GetW(quiet)
	if err != nil {
		return err
	}
	_, _, onGone, err := pair.b.ExistsW(gone)
	if err != nil {
		return err
	}
	_, _, onChanged, err := pair.b.GetW(changed)
	if err != nil {
		return err
	}
	_, _, onNew, err := pair.b.ExistsW(pair.root + "/new")
	if err != nil {
		return err
	}
	err = pair.b.reconnect(func() error {
		if _, err := pair.a.Set(changed, []byte("x"), -1); err != nil {
			return err
		}
		if _, err := pair.a.Create(pair.root+"/new", nil, 0, open); err != nil {
			return err
		}
		return pair.a.Delete(gone, -1)
	})
	if err != nil {
		return err
	}
	err = all(next(onGone, zk.EventNodeDeleted, gone), next(onChanged, zk.EventNodeDataChanged, changed),
		next(onNew, zk.EventNodeCreated, pair.root+"/new"))
	if err != nil {
		return err
	}
	if _, err := pair.a.Set(quiet, []byte("x"), -1); err != nil {
		return err
	}
	return next(onQuiet, zk.EventNodeDataChanged, quiet)
}

func lock(pair *Pair) error {
	path := pair.root + "/lock"
	a, b := zk.NewLock(pair.a.Conn, path, open), zk.NewLock(pair.b.Conn, path, open)
	if err := a.Lock(); err != nil {
		return err
	}
	got := make(chan error, 1)
	go func() { got <- b.Lock() }()
	for end := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		names, _, err := pair.a.Children(path)
		if err != nil {
			return err
		}
		if len(names) == 2 {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("B never stood in line")
		}
	}
	if err := pair.a.reconnect(nothing); err != nil {
		return err
	}
	select {
	case err := <-got:
		return fmt.Errorf("B has the lock that A holds (%v)", err)
	default:
	}
	if err := a.Unlock(); err != nil {
		return err
	}
	select {
	case err := <-got:
		return all(err, b.Unlock())
	case <-time.After(limit):
		return fmt.Errorf("B never had the lock")
	}
}

func syncs(pair *Pair) error {
	path := pair.root + "/synced"
	if _, err := pair.a.Create(path, []byte("x"), 0, open); err != nil {
		return err
	}
	synced, err := pair.b.Sync(path)
	if err := all(err, equal("what sync answers", path, synced)); err != nil {
		return err
	}
	data, _, err := pair.b.Get(path)
	return all(err, equal("data", "x", string(data)))
}
