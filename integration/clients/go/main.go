// HOST:PORT [PART-OF-A-NAME]: checks a server with go-zookeeper, two clients in each check.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
)

// Pair is the two clients of one check, and a folder of its own.
type Pair struct {
	a, b *Peer
	root string
}

type check struct {
	name string
	body func(*Pair) error
}

var checks = []check{
	{"create, read, write and delete with versions", life},
	{"a multi happens whole or not at all", multi},
	{"sequential names count up", sequential},
	{"an ephemeral goes with its session", ephemeral},
	{"one-shot watches fire once", oneShot},
	{"watches survive a reconnect", watchesSurvive},
	{"lock, two clients and a reconnect", lock},
	{"digest auth guards a znode", auth},
	{"auth survives a reconnect", authSurvives},
	{"containers, TTLs and protected names", kinds},
	{"sync sees the other's write", syncs},
	{"four-letter words are understood", words},
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: HOST:PORT [PART-OF-A-NAME]")
		os.Exit(2)
	}
	only := ""
	if len(os.Args) > 2 {
		only = os.Args[2]
	}
	passed, failed := 0, 0
	for _, check := range checks {
		if !strings.Contains(check.name, only) {
			continue
		}
		if err := run(os.Args[1], check.body); err != nil {
			failed++
			fmt.Printf("FAIL %s: %v\n", check.name, err)
		} else {
			passed++
			fmt.Printf("ok   %s\n", check.name)
		}
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		os.Exit(1)
	}
}

func run(server string, body func(*Pair) error) error {
	done := make(chan error, 1)
	go func() { done <- withPair(server, body) }()
	select {
	case err := <-done:
		return err
	case <-time.After(3 * limit):
		return errors.New("still running after three minutes")
	}
}

func withPair(server string, body func(*Pair) error) error {
	a, err := connect(server)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := connect(server)
	if err != nil {
		return err
	}
	defer b.Close()
	root, err := a.Create("/go-", nil, zk.FlagSequence, open)
	if err != nil {
		return err
	}
	return body(&Pair{a, b, root})
}

var open = zk.WorldACL(zk.PermAll)

// equal is nil if found is as wanted.
func equal[T comparable](what string, wanted, found T) error {
	if wanted != found {
		return fmt.Errorf("%s: wanted %v, found %v", what, wanted, found)
	}
	return nil
}

// fails is nil if err is the error wanted.
func fails(what string, wanted, err error) error {
	if !errors.Is(err, wanted) {
		return fmt.Errorf("%s: wanted the error %v, found %v", what, wanted, err)
	}
	return nil
}

// all is the first error of several.
func all(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// next is nil if the watch fires as wanted.
func next(watch <-chan zk.Event, kind zk.EventType, path string) error {
	select {
	case event := <-watch:
		return all(event.Err, equal("event", kind, event.Type), equal("event's path", path, event.Path))
	case <-time.After(limit):
		return fmt.Errorf("no %v of %s within %v", kind, path, limit)
	}
}
