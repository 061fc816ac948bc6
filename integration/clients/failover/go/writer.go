package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
)

const (
	root      = "/gaps"
	bucket    = 1000                 // numbers in one folder: its listing stays far below what a client reads at once
	writeEach = 5 * time.Millisecond // from one write to the next, unless it takes longer
)

var began = time.Now()

// millis is of the calendar, which is asked once: what it is set to meanwhile changes no gap.
func millis() float64 { return float64(began.UnixNano()+time.Since(began).Nanoseconds()) / 1e6 }

// Writer is one client that creates a znode for each number, one after the other.
type Writer struct {
	*Client
	file  *os.File
	over  atomic.Bool
	ended chan error
}

func write(hosts []string, folder string, names []string) error {
	var writers []*Writer
	for _, name := range names {
		client, err := connect(hosts, name)
		if err != nil {
			return err
		}
		if _, err := client.Create(root+"/alive-"+name, nil, zk.FlagEphemeral, open); err != nil {
			return err
		}
		if _, err := client.Create(root+"/"+name, nil, 0, open); err != nil {
			return err
		}
		file, err := os.Create(folder + "/" + name)
		if err != nil {
			return err
		}
		client.onLoss.Store(func() { fmt.Fprintf(file, "lost %.3f -\n", millis()) })
		writers = append(writers, &Writer{Client: client, file: file, ended: make(chan error, 1)})
		fmt.Printf("begun %s %x\n", name, client.session)
	}
	for _, writer := range writers {
		go func(writer *Writer) { writer.ended <- writer.work() }(writer)
	}
	fmt.Println("ready")
	bufio.NewScanner(os.Stdin).Scan()
	for _, writer := range writers {
		writer.over.Store(true)
		select {
		case err := <-writer.ended:
			if err != nil {
				return fmt.Errorf("%s: %w", writer.name, err)
			}
		case <-time.After(limit):
			return fmt.Errorf("%s never ended", writer.name)
		}
		kept := "kept"
		if writer.mine() != nil {
			kept = "lost"
		}
		fmt.Printf("client %s %d %s\n", writer.name, writer.losses.Load(), kept)
	}
	return nil // the sessions stay: their ephemerals are looked at
}

func (writer *Writer) work() error {
	due := time.Now()
	for number := 0; !writer.over.Load(); number++ {
		at := fmt.Sprintf("%s/%s/%d", root, writer.name, number/bucket)
		if number%bucket == 0 {
			create := func() error { _, err := writer.Create(at, nil, 0, open); return err }
			if err := again(create); err != nil && !errors.Is(err, zk.ErrNodeExists) {
				return err
			}
		}
		node, err := writer.add(at, fmt.Sprintf("%d-", number))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(writer.file, "%d %.3f %s\n", number, millis(), node); err != nil {
			return err
		}
		now := time.Now()
		if due = due.Add(writeEach); due.Before(now) {
			due = now
		}
		time.Sleep(time.Until(due))
	}
	return nil
}

// add creates the znode of a number, once, and tells its name.
func (writer *Writer) add(at, prefix string) (node string, err error) {
	create := func() (err error) {
		node, err = writer.Create(at+"/"+prefix, nil, zk.FlagSequence, open)
		node = strings.TrimPrefix(node, at+"/")
		return
	}
	err = writer.settle(create, func() (bool, error) {
		names, _, err := writer.Children(at)
		for _, name := range names {
			if strings.HasPrefix(name, prefix) {
				node = name
				return true, nil
			}
		}
		return false, err
	})
	return
}
