package programs

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// relay passes GETs on to a repository, counts what comes, and ends with its
// context.
type relay struct {
	base   string
	d      *download
	server *http.Server
	addr   string
	served sync.WaitGroup
	failed atomic.Pointer[error]
}

func startRelay(ctx context.Context, base string, d *download) (*relay, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the download: %w", err)
	}
	r := &relay{base: base, d: d, addr: listener.Addr().String()}
	r.server = &http.Server{
		Handler: r, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx },
	}
	r.served.Go(func() { _ = r.server.Serve(listener) }) // ends by close
	return r, nil
}

func (r *relay) url() string { return "http://" + r.addr }

func (r *relay) close() {
	_ = r.server.Close()
	r.served.Wait()
}

// failure returns why the first request that failed did so.
func (r *relay) failure() error {
	if err := r.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// ServeHTTP passes one request on.
func (r *relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if err := r.pass(w, req); err != nil {
		r.failed.CompareAndSwap(nil, &err)
		panic(http.ErrAbortHandler) // the library must not take a part for the whole
	}
}

func (r *relay) pass(w http.ResponseWriter, req *http.Request) error {
	out, err := http.NewRequestWithContext(req.Context(), http.MethodGet, r.base+req.URL.Path, nil)
	if err != nil {
		return fmt.Errorf("ask for the archive: %w", err)
	}
	resp, err := http.DefaultClient.Do(out)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the repository answered %s", resp.Status)
	}
	if resp.ContentLength > 1<<20 { // the archive, not its digest
		r.d.total.Store(resp.ContentLength)
		w.Header().Set("Content-Length", fmt.Sprint(resp.ContentLength))
	}
	if _, err := io.Copy(w, io.TeeReader(resp.Body, counter{&r.d.done})); err != nil {
		return fmt.Errorf("receive the archive: %w", err)
	}
	return nil
}

// counter adds up the sizes of what is written to it.
type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}
