// HOSTS: two go-zookeeper clients that share a lock and a counter; see run.py.
// write HOSTS FOLDER NAME…: a client of each name that writes without end; see gaps.py.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

var claims = []struct{ id, words string }{
	{"lock", "the lock has one holder at a time"},
	{"again", "each client holds the lock again after each kill"},
	{"session", "no session is lost or changed"},
	{"counter", "the counter is the number of acknowledged increments"},
	{"progress", "everything goes on"},
}

// Faults is what was seen that must not be, by claim.
type Faults struct {
	mutex sync.Mutex
	seen  map[string][]string
}

func (faults *Faults) add(claim, format string, args ...interface{}) {
	faults.mutex.Lock()
	defer faults.mutex.Unlock()
	faults.seen[claim] = append(faults.seen[claim], fmt.Sprintf(format, args...))
}

func (faults *Faults) tell() {
	faults.mutex.Lock()
	defer faults.mutex.Unlock()
	for _, claim := range claims {
		seen := faults.seen[claim.id]
		if len(seen) > 5 {
			seen = seen[:5]
		}
		if len(seen) > 0 {
			fmt.Printf("FAIL go: %s: %s\n", claim.words, strings.Join(seen, "; "))
		} else {
			fmt.Printf("ok   go: %s\n", claim.words)
		}
	}
}

func main() {
	if os.Args[1] == "write" {
		if err := write(strings.Split(os.Args[2], ","), os.Args[3], os.Args[4:]); err != nil {
			fmt.Println("FAIL go:", err)
			os.Exit(1)
		}
		return
	}
	faults := &Faults{seen: map[string][]string{}}
	if err := run(strings.Split(os.Args[1], ","), faults); err != nil {
		faults.add("progress", "%v", err)
	}
	faults.tell()
}

func run(hosts []string, faults *Faults) error {
	var works []*Work
	for _, name := range []string{"a", "b"} {
		client, err := connect(hosts, name)
		if err != nil {
			return err
		}
		defer client.Close()
		if err := prepare(client, name == "a"); err != nil {
			return err
		}
		works = append(works, begin(client, faults))
	}
	onward(works, faults)
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan() && in.Text() == "killed"; {
		onward(works, faults)
		fmt.Println("again")
	}
	return end(works, faults)
}

func prepare(client *Client, first bool) error {
	if !first {
		_, err := client.Sync("/")
		return err
	}
	for _, path := range []string{folder, fence, counter, marks} {
		if _, err := client.Create(path, []byte("0"), 0, open); err != nil {
			return err
		}
	}
	return nil
}

func onward(works []*Work, faults *Faults) {
	for _, work := range works {
		work.getsOn()
		if err := work.mine(); err != nil {
			faults.add("session", "%v", err)
		}
	}
}

func end(works []*Work, faults *Faults) error {
	var held, acknowledged int64
	for _, work := range works {
		work.over.Store(true)
	}
	for _, work := range works {
		for i := 0; i < 2; i++ {
			select {
			case <-work.ended:
			case <-time.After(limit):
				faults.add("progress", "%s: a thread never ended", work.name)
			}
		}
		held, acknowledged = held+work.held.Load(), acknowledged+work.counted.Load()
	}
	judge := works[0]
	if err := judge.catchUp(); err != nil {
		return err
	}
	data, stat, err := judge.Get(counter)
	if err != nil {
		return err
	}
	names, _, err := judge.Children(marks)
	if err != nil {
		return err
	}
	want := fmt.Sprint(acknowledged)
	if string(data) != want || fmt.Sprint(stat.Version) != want || fmt.Sprint(len(names)) != want {
		faults.add("counter", "%s, in version %d, of %d markers; %s are acknowledged", data, stat.Version, len(names), want)
	}
	fmt.Printf("     go: the lock was held %d times, the counter is %s\n", held, data)
	return nil
}
