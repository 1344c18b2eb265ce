package postgres

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

	"windlass.dev/windlass/pkg/retry"
)

// hostPause is constant, because a failover has to be noticed fast: the time
// between two attempts to connect to one of several
// hosts, while no host of the URL accepts writes.
const hostPause = 100 * time.Millisecond

// primaryTTL is how long the last primary is used without a search: long enough
// for the connections of one pool, and too short to lead new ones to a host
// that died.
const primaryTTL = time.Second

// hosts caches which host of a URL with several is the primary, and searches
// for it after a failover. It tries all hosts at the same time: a dead one may
// stay silent, and each attempt to reach it would take connectTimeout. A URL
// with one host needs no search. It is safe for concurrent use.
type hosts struct {
	outage *outage

	search sync.Mutex // allows one search at a time

	mu      sync.Mutex
	primary string
	at      time.Time
}

// prefer is the pool's BeforeConnect: it removes all hosts except the primary
// from the configuration of a connection.
func (h *hosts) prefer(ctx context.Context, cc *pgx.ConnConfig) error {
	byAddress := addresses(&cc.Config)
	if len(byAddress) < 2 {
		return nil
	}
	h.search.Lock()
	defer h.search.Unlock()
	address := h.cached()
	if address == "" {
		var err error
		if address, err = findPrimary(ctx, &cc.Config, byAddress); err != nil {
			h.outage.recordFailure(err)
			return err
		}
		h.cache(address)
	}
	setHost(&cc.Config, byAddress[address])
	return nil
}

func (h *hosts) cached() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.at) > primaryTTL {
		return ""
	}
	return h.primary
}

func (h *hosts) cache(address string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.primary, h.at = address, time.Now()
}

// forget makes the next connection search.
func (h *hosts) forget() { h.cache("") }

// addresses returns the ways to connect to each distinct host and port: with
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

func setHost(c *pgconn.Config, ways []*pgconn.FallbackConfig) {
	c.Host, c.Port, c.TLSConfig, c.Fallbacks = ways[0].Host, ways[0].Port, ways[0].TLSConfig, ways[1:]
}

// findPrimary returns the first address that accepts writes. It repeats
// attempts that are refused, because a standby accepts writes once it is
// promoted.
func findPrimary(ctx context.Context, c *pgconn.Config, byAddress map[string][]*pgconn.FallbackConfig) (string, error) {
	ctx, stop := context.WithTimeout(ctx, connectTimeout)
	defer stop()
	type result struct {
		address string
		err     error
	}
	results := make(chan result, len(byAddress))
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	for address, ways := range byAddress {
		one := c.Copy()
		setHost(one, ways)
		all.Go(func() { results <- result{address, awaitWritable(ctx, one)} })
	}
	var errs []error
	for range byAddress {
		r := <-results
		if r.err == nil {
			return r.address, nil
		}
		errs = append(errs, r.err)
	}
	return "", fmt.Errorf("find the primary: %w", errors.Join(errs...))
}

// awaitWritable returns nil once the host accepts writes. When ctx ends it
// returns the last reason why the host did not.
func awaitWritable(ctx context.Context, c *pgconn.Config) error {
	var refused error
	for {
		conn, err := pgconn.ConnectConfig(ctx, c)
		if err == nil {
			_ = conn.Close(ctx) // the host accepts writes, whatever Close returns
			return nil
		}
		if refused == nil || ctx.Err() == nil {
			refused = err
		}
		if !retry.Sleep(ctx, hostPause) {
			return refused
		}
	}
}
