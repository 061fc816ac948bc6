package main

import (
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
)

const (
	folder  = "/failover-go"
	lockAt  = folder + "/lock"
	fence   = folder + "/fence"
	counter = folder + "/counter"
	marks   = folder + "/marks"
)

var open = zk.WorldACL(zk.PermAll)

// Work is what one client does in the background.
type Work struct {
	*Client
	faults        *Faults
	held, counted atomic.Int64
	over          atomic.Bool
	ended         chan struct{}
}

func begin(client *Client, faults *Faults) *Work {
	work := &Work{Client: client, faults: faults, ended: make(chan struct{}, 2)}
	go work.repeat(work.hold)
	go work.repeat(work.count)
	return work
}

func (work *Work) repeat(step func(number int) error) {
	defer func() { work.ended <- struct{}{} }()
	for number := 1; !work.over.Load(); number++ {
		if err := step(number); err != nil {
			work.faults.add("progress", "%s: step %d: %v", work.name, number, err)
			return
		}
	}
}

// hold takes the lock; whoever has it is the only one to write the fence.
func (work *Work) hold(number int) error {
	lock := zk.NewLock(work.Conn, lockAt, open)
	if err := work.take(lock); err != nil {
		return err
	}
	var stat *zk.Stat
	err := again(func() (err error) { _, stat, err = work.Exists(fence); return })
	for write := int32(0); err == nil && write < 2; write++ {
		err = work.write(fmt.Sprintf("%s-%d-%d", work.name, number, write), stat.Version+write)
	}
	if errors.Is(err, zk.ErrBadVersion) {
		work.faults.add("lock", "%s: somebody else wrote during hold %d", work.name, number)
	} else if err != nil {
		return err
	}
	err = again(lock.Unlock)
	if errors.Is(err, zk.ErrNoNode) { // an answer was lost, or the lock: then the fence tells
		err = nil
	}
	work.held.Add(1)
	return err
}

// take waits for the lock. go-zookeeper's forgets its znode when it loses the connection while it waits.
func (work *Work) take(lock *zk.Lock) error {
	for {
		err := lock.Lock()
		if !isLost(err) {
			return err
		}
		if err := work.leave(); err != nil {
			return err
		}
	}
}

// leave takes this session's znodes out of the line.
func (work *Work) leave() error {
	if err := work.catchUp(); err != nil {
		return err
	}
	return again(func() error {
		names, _, err := work.Children(lockAt)
		if errors.Is(err, zk.ErrNoNode) {
			return nil
		}
		for _, name := range names {
			there, stat, failed := work.Exists(lockAt + "/" + name)
			if failed == nil && there && stat.EphemeralOwner == work.session {
				failed = work.Delete(lockAt+"/"+name, -1)
			}
			if failed != nil && !errors.Is(failed, zk.ErrNoNode) {
				err = failed
			}
		}
		return err
	})
}

func (work *Work) write(token string, version int32) error {
	act := func() error { _, err := work.Set(fence, []byte(token), version); return err }
	return work.settle(act, func() (bool, error) {
		data, _, err := work.Get(fence)
		return string(data) == token, err
	})
}

// count adds 1 to the counter, and a marker by which the increment is known, in one multi.
func (work *Work) count(number int) error {
	marker := fmt.Sprintf("%s/%s-%d", marks, work.name, number)
	add := func() error {
		data, stat, err := work.Get(counter)
		if err != nil {
			return err
		}
		value, err := strconv.Atoi(string(data))
		if err != nil {
			return err
		}
		_, err = work.Multi(
			&zk.SetDataRequest{Path: counter, Data: []byte(strconv.Itoa(value + 1)), Version: stat.Version},
			&zk.CreateRequest{Path: marker, Acl: open})
		return err
	}
	landed := func() (bool, error) { there, _, err := work.Exists(marker); return there, err }
	for {
		err := work.settle(add, landed)
		if !errors.Is(err, zk.ErrBadVersion) { // else the other was quicker
			work.counted.Add(1)
			return err
		}
	}
}

// getsOn returns once the client has held the lock and counted anew: twice, so that one was begun after we asked.
func (work *Work) getsOn() {
	held, counted := work.held.Load()+2, work.counted.Load()+2
	if !eventually(func() bool { return work.held.Load() >= held }) {
		work.faults.add("again", "%s did not", work.name)
	}
	if !eventually(func() bool { return work.counted.Load() >= counted }) {
		work.faults.add("progress", "%s did not count again", work.name)
	}
}

func eventually(condition func() bool) bool {
	for end := time.Now().Add(limit); !condition(); time.Sleep(pause) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
