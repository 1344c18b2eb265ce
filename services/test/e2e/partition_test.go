//go:build e2e

package e2e

import (
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// link is the network path from one process to one server. It can be cut in
// either direction: bytes are swallowed, and no connection is closed or
// refused, as when packets are dropped.
type link struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	moved *sync.Cond
	cut   [2]bool // to the server, to the client
	ended bool
	conns []net.Conn
}

const (
	toServer = iota
	toClient
)

// newLink returns a link to the server of a URL, and the URL for its client.
func newLink(t *testing.T, server string) (*link, string) {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{listener: listener, target: u.Host}
	l.moved = sync.NewCond(&l.mu)
	u.Host = listener.Addr().String()
	var all sync.WaitGroup
	all.Go(func() { l.serve(&all) })
	t.Cleanup(func() {
		_ = listener.Close()
		l.mu.Lock()
		l.ended = true
		for _, c := range l.conns {
			_ = c.Close()
		}
		l.mu.Unlock()
		l.moved.Broadcast()
		all.Wait()
	})
	return l, u.String()
}

func (l *link) serve(all *sync.WaitGroup) {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", l.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		l.mu.Lock()
		l.conns = append(l.conns, client, server)
		l.mu.Unlock()
		all.Go(func() { l.copy(server, client, toServer) })
		all.Go(func() { l.copy(client, server, toClient) })
	}
}

// copy copies while the direction is not cut, and closes both ends at the end.
func (l *link) copy(to, from net.Conn, direction int) {
	defer func() { _ = to.Close(); _ = from.Close() }()
	part := make([]byte, 64<<10)
	for {
		n, err := from.Read(part)
		if n > 0 && l.pass(direction) {
			_, err = to.Write(part[:n])
		}
		if err != nil || l.over() {
			if err == io.EOF {
				l.pass(direction) // the end is not seen either while it is cut
			}
			return
		}
	}
}

// pass waits until the direction is not cut, and reports whether the link goes
// on.
func (l *link) pass(direction int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.cut[direction] && !l.ended {
		l.moved.Wait()
	}
	return !l.ended
}

func (l *link) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

func (l *link) set(directions ...int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = [2]bool{}
	for _, d := range directions {
		l.cut[d] = true
	}
	l.moved.Broadcast()
}

// TestF20Partitions cuts one worker off from Postgres only and from NATS only,
// in one direction and in both, under load. The other worker goes on with its
// work, and nothing is done or recorded twice. The cuts are made by a proxy
// that swallows bytes, instead of by a packet filter: it needs no root, and the
// processes see the same silence.
func TestF20Partitions(t *testing.T) {
	t.Parallel()
	alone(t)
	const runs, cutFor = 300, 9 * time.Second
	rnd := rand.New(rand.NewPCG(uint64(seed(t)), 20))
	w := newWorld(t, env("WINDLASS_ACK_WAIT", "1s"))
	var links []*link
	var names []string
	for _, name := range []string{"loop-orchestrator", "tool-runner", "finalizer", "claimer"} {
		p := w.add(name+second, name)
		nats, address := newLink(t, w.nats.url)
		links, names = append(links, nats), append(names, name+" from NATS")
		p.env = append(p.env, env("WINDLASS_NATS_URL", address))
		if name != "tool-runner" {
			postgres, address := newLink(t, w.roles.URL(t, name))
			links, names = append(links, postgres), append(names, name+" from Postgres")
			p.env = append(p.env, env("WINDLASS_DATABASE_URL", address))
		}
		p.start(t)
		p.awaitReady(t)
	}
	l := newLoad(w)
	stop := l.begin(t, rnd, runs, 300*time.Millisecond)
	defer stop()
	var outages []Outage
	for i, link := range links {
		pause(t.Context(), 1500*time.Millisecond)
		o := Outage{Name: names[i], From: time.Now()}
		link.set([][]int{{toServer, toClient}, {toServer}, {toClient}}[i%3]...)
		pause(t.Context(), cutFor)
		link.set()
		// The other worker has to go on during the cut, not after it. But work
		// that a worker has in hand when Postgres becomes silent stays its own,
		// as in an outage of Postgres: the model may have been called.
		o.Back = o.From
		if strings.HasSuffix(names[i], "Postgres") {
			o.Back = time.Now()
		}
		outages = append(outages, o)
	}
	l.finishAll(t, 30*time.Second)
	calls := l.check(t)
	worst := l.worstPause(calls, outages)
	if worst.Took > resumeLimit+time.Second {
		t.Errorf("a run resumed late: %s", worst)
		l.showPause(t, worst)
	}
	repeats := 0
	for _, r := range l.runs {
		repeats += Repeats("tool", calls[r.Plan.Seed])
	}
	t.Logf("%d runs, %d partitions of %s, 0 lost, %d tool calls repeated, longest pause %s", len(l.runs), len(outages),
		cutFor, repeats, worst)
}
