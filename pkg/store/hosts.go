package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// hostPause is the time between two attempts to connect to one of several
// hosts, while no host of the URL accepts writes.
const hostPause = 100 * time.Millisecond

// hostKnown is how long the primary is taken for granted: long enough for the
// connections of one pool, and too short to lead new ones to a host that died.
const hostKnown = time.Second

// hosts remembers which host of a URL with several is the primary, and searches
// for it after a failover. All hosts are tried at the same time: the one that
// died may answer nothing, and each attempt to reach it would take
// connectTimeout. A URL with one host needs no search. Safe for concurrent use.
type hosts struct {
	outage *outage

	search sync.Mutex // held during a search, so that there is one at a time

	mu      sync.Mutex
	primary string
	at      time.Time
}

// prefer is the pool's BeforeConnect: it leaves only the primary in the
// configuration of a connection.
func (h *hosts) prefer(ctx context.Context, cc *pgx.ConnConfig) error {
	byAddress := addresses(&cc.Config)
	if len(byAddress) < 2 {
		return nil
	}
	h.search.Lock()
	defer h.search.Unlock()
	address := h.known()
	if address == "" {
		var err error
		if address, err = find(ctx, &cc.Config, byAddress); err != nil {
			h.outage.failed(err)
			return err
		}
		h.learn(address)
	}
	use(&cc.Config, byAddress[address])
	return nil
}

func (h *hosts) known() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.at) > hostKnown {
		return ""
	}
	return h.primary
}

func (h *hosts) learn(address string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.primary, h.at = address, time.Now()
}

// forget makes the next connection search.
func (h *hosts) forget() { h.learn("") }

// addresses are the ways to connect to each distinct host and port: with
// sslmode=prefer there are two.
func addresses(c *pgconn.Config) map[string][]*pgconn.FallbackConfig {
	all := map[string][]*pgconn.FallbackConfig{}
	first := &pgconn.FallbackConfig{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}
	for _, way := range append([]*pgconn.FallbackConfig{first}, c.Fallbacks...) {
		address := net.JoinHostPort(way.Host, strconv.Itoa(int(way.Port)))
		all[address] = append(all[address], way)
	}
	return all
}

func use(c *pgconn.Config, ways []*pgconn.FallbackConfig) {
	c.Host, c.Port, c.TLSConfig, c.Fallbacks = ways[0].Host, ways[0].Port, ways[0].TLSConfig, ways[1:]
}

// find returns the first address that accepts writes. Hosts that refuse are
// tried again, as a standby accepts once it is promoted.
func find(ctx context.Context, c *pgconn.Config, byAddress map[string][]*pgconn.FallbackConfig) (string, error) {
	ctx, stop := context.WithTimeout(ctx, connectTimeout)
	defer stop()
	type answer struct {
		address string
		err     error
	}
	answers := make(chan answer, len(byAddress))
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	for address, ways := range byAddress {
		one := c.Copy()
		use(one, ways)
		all.Go(func() { answers <- answer{address, reach(ctx, one)} })
	}
	var errs []error
	for range byAddress {
		a := <-answers
		if a.err == nil {
			return a.address, nil
		}
		errs = append(errs, a.err)
	}
	return "", fmt.Errorf("find the primary: %w", errors.Join(errs...))
}

// reach returns nil once the host accepts writes. At the end of ctx it returns
// why the host did not.
func reach(ctx context.Context, c *pgconn.Config) error {
	var refused error
	for {
		conn, err := pgconn.ConnectConfig(ctx, c)
		if err == nil {
			_ = conn.Close(ctx) // the answer is known
			return nil
		}
		if refused == nil || ctx.Err() == nil {
			refused = err
		}
		select {
		case <-ctx.Done():
			return refused
		case <-time.After(hostPause):
		}
	}
}
