package main

import (
	"fmt"
	"time"

	"github.com/go-zookeeper/zk"
)

func auth(pair *Pair) error {
	path := pair.root + "/secret"
	if err := pair.a.AddAuth("digest", []byte("alice:wonder")); err != nil {
		return err
	}
	if _, err := pair.a.Create(path, []byte("s"), 0, zk.AuthACL(zk.PermAll)); err != nil {
		return err
	}
	acl, _, err := pair.a.GetACL(path)
	if err := all(err, equal("entries", 1, len(acl))); err != nil {
		return err
	}
	if err := equal("the entry", zk.DigestACL(zk.PermAll, "alice", "wonder")[0], acl[0]); err != nil {
		return err
	}
	_, _, err = pair.b.Get(path)
	if err := fails("a stranger's read", zk.ErrNoAuth, err); err != nil {
		return err
	}
	if err := pair.b.AddAuth("digest", []byte("alice:wonder")); err != nil {
		return err
	}
	data, _, err := pair.b.Get(path)
	if err := all(err, equal("data", "s", string(data))); err != nil {
		return err
	}
	stat, err := pair.a.SetACL(path, zk.WorldACL(zk.PermRead), 0)
	if err := all(err, equal("the ACL's version", 1, stat.Aversion)); err != nil {
		return err
	}
	_, err = pair.a.Set(path, nil, -1)
	return fails("a write that the ACL forbids", zk.ErrNoAuth, err)
}

func authSurvives(pair *Pair) error {
	path := pair.root + "/secret"
	if err := pair.a.AddAuth("digest", []byte("bob:builder")); err != nil {
		return err
	}
	if _, err := pair.a.Create(path, []byte("s"), 0, zk.DigestACL(zk.PermAll, "bob", "builder")); err != nil {
		return err
	}
	if err := pair.a.reconnect(nothing); err != nil {
		return err
	}
	data, _, err := pair.a.Get(path)
	return all(err, equal("data", "s", string(data)))
}

func words(pair *Pair) error {
	servers := []string{pair.a.Server()}
	if ok := zk.FLWRuok(servers, limit); !ok[0] {
		return fmt.Errorf("ruok was not answered imok")
	}
	// "Not understood" is what it says of the connection that asks, which has no session: on Apache's server, too.
	found, _ := zk.FLWCons(servers, 10*time.Second)
	for _, client := range found[0].Clients {
		if client.SessionID == pair.a.SessionID() {
			return nil
		}
	}
	return fmt.Errorf("cons does not tell of our session: %+v", found[0])
}
