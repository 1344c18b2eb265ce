// Package catalog knows which models an upstream serves: it asks the upstream's
// GET /models and remembers the answer.
//
// It is for upstreams whose models the registry does not name. Everything is
// bounded: the time of a request, the bytes of its answer, the number of names,
// and how often the upstream is asked. A failure is never the caller's: the
// last answer stays, or there are no names.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"windlass.dev/windlass/pkg/registry"
)

const (
	// Fresh is how long an answer is used before the upstream is asked again.
	Fresh = time.Minute
	// pause is how long after a failure the upstream is not asked again.
	pause = 15 * time.Second
	// stale is how long an answer is used while the upstream fails.
	stale = 15 * time.Minute
	// fetchTime bounds one request.
	fetchTime = 10 * time.Second
	// maxBytes bounds its answer; the longest list known, of a marketplace, has
	// less than a megabyte.
	maxBytes = 8 << 20
	maxNames = 5000
	maxHops  = 3
)

// Entry is a model of an upstream.
type Entry struct {
	ID      string
	Created int64  // Unix time in seconds; 0: not said
	OwnedBy string // "": not said
}

// Catalog is what one upstream serves. It is safe for concurrent use.
type Catalog struct {
	upstream registry.Upstream
	client   *http.Client
	tasks    *sync.WaitGroup
	leaving  <-chan struct{}
	failed   func(error) // called once for each request that failed
	now      func() time.Time

	mu       sync.Mutex
	entries  []Entry
	answered time.Time // when entries came
	next     time.Time // when the upstream may be asked again
	running  chan struct{}
}

// New makes the catalog of an upstream. What it starts is added to tasks and
// ends within 10 s, or when leaving is closed. failed is called with the reason
// why a request failed, which names no credential.
func New(u registry.Upstream, tasks *sync.WaitGroup, leaving <-chan struct{}, failed func(error)) *Catalog {
	return &Catalog{upstream: u, client: client(), tasks: tasks, leaving: leaving, failed: failed, now: time.Now}
}

func client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: fetchTime}).DialContext,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    fetchTime,
			DisableKeepAlives:      true, // one request a minute
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: sameHost,
	}
}

// sameHost follows redirects within the upstream only: the request carries its
// credential.
func sameHost(r *http.Request, via []*http.Request) error {
	first := via[0].URL
	if len(via) > maxHops || r.URL.Hostname() != first.Hostname() ||
		first.Scheme == "https" && r.URL.Scheme != "https" {
		return http.ErrUseLastResponse
	}
	return nil
}

// Models returns what the upstream serves, as far as it is known. If nothing is
// known yet it waits for the upstream until ctx ends; otherwise it returns at
// once, and an old answer is replaced in the background. The result is not to
// be written to.
func (c *Catalog) Models(ctx context.Context) []Entry {
	c.mu.Lock()
	if c.running == nil && !c.now().Before(c.next) {
		c.running = make(chan struct{})
		c.tasks.Go(func() { c.refresh(context.WithoutCancel(ctx)) })
	}
	running, known := c.running, !c.answered.IsZero()
	c.mu.Unlock()
	if running != nil && !known {
		select {
		case <-running:
		case <-ctx.Done():
		}
	}
	return c.Known()
}

// Known returns what the last answer said, without asking.
func (c *Catalog) Known() []Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now().Sub(c.answered) > stale {
		return nil
	}
	return c.entries
}

func (c *Catalog) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	c.tasks.Go(func() {
		select {
		case <-c.leaving:
			cancel()
		case <-ctx.Done():
		}
	})
	entries, err := c.fetch(ctx)
	if err != nil && !errors.Is(ctx.Err(), context.Canceled) {
		c.failed(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if err == nil {
		c.entries, c.answered, c.next = entries, now, now.Add(Fresh)
	} else {
		c.next = now.Add(pause)
	}
	close(c.running)
	c.running = nil
}

func (c *Catalog) fetch(ctx context.Context) ([]Entry, error) {
	at, err := c.upstream.Endpoint("/models")
	if err != nil {
		return nil, fmt.Errorf("list the upstream's models: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, fmt.Errorf("list the upstream's models: %w", err)
	}
	r.Header.Set("Accept", "application/json")
	if err := authorize(r, c.upstream); err != nil {
		return nil, fmt.Errorf("list the upstream's models: %w", err)
	}
	resp, err := c.client.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the address, which may hold a secret
		}
		return nil, fmt.Errorf("list the upstream's models: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("list the upstream's models: it answered GET /models with %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("list the upstream's models: %w", err)
	}
	if len(body) > maxBytes {
		return nil, fmt.Errorf("list the upstream's models: the answer has more than %d bytes", maxBytes)
	}
	return read(body)
}

// authorize adds the upstream's credential and its other headers.
func authorize(r *http.Request, u registry.Upstream) error {
	key, err := u.Credential.Resolve()
	if err != nil {
		return err
	}
	u.SetHeaders(r.Header, key)
	return nil
}
