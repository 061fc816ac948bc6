package main

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
)

func life(pair *Pair) error {
	path := pair.root + "/life"
	if _, err := pair.a.Create(path, []byte("first"), 0, open); err != nil {
		return err
	}
	data, stat, err := pair.b.Get(path)
	if err := all(err, equal("data", "first", string(data)), equal("version", 0, stat.Version)); err != nil {
		return err
	}
	written, err := pair.b.Set(path, []byte("second"), stat.Version)
	if err := all(err, equal("version", 1, written.Version)); err != nil {
		return err
	}
	_, err = pair.a.Set(path, []byte("late"), stat.Version)
	if err := fails("a stale write", zk.ErrBadVersion, err); err != nil {
		return err
	}
	if err := pair.a.reconnect(nothing); err != nil {
		return err
	}
	data, stat, err = pair.a.Get(path)
	_, again := pair.a.Create(path, nil, 0, open)
	return all(err,
		equal("data after the reconnect", "second", string(data)),
		equal("stat after the reconnect", *written, *stat),
		fails("a second create", zk.ErrNodeExists, again),
		fails("a stale delete", zk.ErrBadVersion, pair.a.Delete(path, 0)),
		pair.a.Delete(path, 1),
		fails("a second delete", zk.ErrNoNode, pair.b.Delete(path, -1)))
}

func multi(pair *Pair) error {
	x := pair.root + "/x"
	create := &zk.CreateRequest{Path: x, Data: []byte("x"), Acl: open}
	below := &zk.CreateRequest{Path: x + "/y", Acl: open}
	_, err := pair.a.Multi(create, below, &zk.CheckVersionRequest{Path: x, Version: 7})
	if err := fails("a failing check", zk.ErrBadVersion, err); err != nil {
		return err
	}
	there, _, err := pair.b.Exists(x)
	if err := all(err, equal("anything of it", false, there)); err != nil {
		return err
	}
	results, err := pair.a.Multi(create, below, &zk.SetDataRequest{Path: x, Data: []byte("z"), Version: 0})
	if err := all(err, equal("results", 3, len(results)), equal("created", x, results[0].String)); err != nil {
		return err
	}
	_, one, err := pair.b.Exists(x)
	if err != nil {
		return err
	}
	_, two, err := pair.b.Exists(x + "/y")
	return all(err, equal("one zxid", one.Czxid, two.Czxid), equal("and of the write", one.Czxid, one.Mzxid))
}

func sequential(pair *Pair) error {
	for i := 0; i < 4; i++ {
		peer := []*Peer{pair.a, pair.b}[i%2]
		path, err := peer.Create(pair.root+"/task-", nil, zk.FlagSequence|zk.FlagEphemeral, open)
		if err := all(err, equal("name", fmt.Sprintf("%s/task-%010d", pair.root, i), path)); err != nil {
			return err
		}
		if err := peer.reconnect(nothing); err != nil {
			return err
		}
	}
	names, stat, err := pair.a.Children(pair.root)
	sort.Strings(names)
	wanted := "task-0000000000 task-0000000001 task-0000000002 task-0000000003"
	return all(err, equal("children", wanted, strings.Join(names, " ")), equal("counted", 4, stat.NumChildren))
}

func ephemeral(pair *Pair) error {
	path := pair.root + "/alive"
	if _, err := pair.b.Create(path, nil, zk.FlagEphemeral, open); err != nil {
		return err
	}
	_, below := pair.b.Create(path+"/child", nil, 0, open)
	if err := fails("a child", zk.ErrNoChildrenForEphemerals, below); err != nil {
		return err
	}
	if err := pair.b.reconnect(nothing); err != nil {
		return err
	}
	_, stat, watch, err := pair.a.ExistsW(path)
	if err := all(err, equal("owner", pair.b.SessionID(), stat.EphemeralOwner)); err != nil {
		return err
	}
	pair.b.Close()
	return next(watch, zk.EventNodeDeleted, path)
}

func kinds(pair *Pair) error {
	container, err := pair.a.CreateContainer(pair.root+"/container", nil, zk.FlagContainer, open)
	if err := all(err, equal("container", pair.root+"/container", container)); err != nil {
		return err
	}
	ttl, err := pair.a.CreateTTL(pair.root+"/ttl-", nil, zk.FlagPersistentSequentialWithTTL, open, time.Hour)
	if err := all(err, equal("TTL", fmt.Sprintf("%s/ttl-%010d", pair.root, 1), ttl)); err != nil {
		return err
	}
	protected, err := pair.a.CreateProtectedEphemeralSequential(pair.root+"/lock-", nil, open)
	if err != nil {
		return err
	}
	if !strings.HasSuffix(protected, "lock-0000000002") {
		return fmt.Errorf("a protected name: %s", protected)
	}
	_, stat, err := pair.b.Exists(protected)
	return all(err, equal("owner", pair.a.SessionID(), stat.EphemeralOwner))
}
