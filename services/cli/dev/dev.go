// Package dev is `windlass dev`: a whole Windlass in one process, with an
// embedded NATS server, a private Postgres, a demo model and demo tools.
//
// It promises that
//   - a fault of the start is one line that says what to do
//     (TestDevSaysInOneLineWhatIsWrong), and a failed request one line on the
//     console (TestDevShowsFailuresAndWhatToDo);
//   - requests go on after any end of the process
//     (TestRunsGoOnAfterDevWasKilled), and an interrupt leaves no process
//     behind (TestCtrlCDuringTheStartLeavesNothing).
//
// One folder holds everything (package datafolder); one dev at a time uses it
// (TestOneDevADataFolder). Secrets are made at the first start.
//
// It is for one developer: it waits 2 s for requests when it ends, takes one
// API key, and warns if other machines can reach it.
package dev

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sync/errgroup"

	"windlass.dev/windlass/pkg/localpg"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/cli/dev/internal/console"
	"windlass.dev/windlass/services/cli/dev/internal/demo"
	"windlass.dev/windlass/services/cli/internal/address"
	"windlass.dev/windlass/services/cli/internal/datafolder"
)

// dev is what a running Command holds.
type dev struct {
	*Command
	began  time.Time
	data   datafolder.Folder
	pgData string // folder of the private Postgres
	rt     *process.Runtime
	api    net.Listener
	admin  net.Listener
	reg    *registry.Registry
	advice console.Advisor
	demo   *demo.Server
	nats   *server.Server
	pg     *localpg.Server
}

// Run runs until ctx ends or a part fails.
func (c *Command) Run(ctx context.Context) error {
	began := time.Now()
	api, err := address.Listen(ctx, "--listen", c.Listen)
	if err != nil {
		return err
	}
	defer api.Close() // the gateway closes it, unless a part before it fails
	data, err := datafolder.Make(c.Data)
	if err != nil {
		return err
	}
	lock, err := data.Lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	lines, err := console.New(console.Config{Out: os.Stderr, Level: c.LogLevel, Color: c.hasColors(os.Stderr)})
	if err != nil {
		return err
	}
	if c.APIKey == "" {
		if c.APIKey, err = data.APIKey(); err != nil {
			return err
		}
	}
	rt := process.NewRuntime("dev", process.Config{LogLevel: c.LogLevel, Grace: grace}, lines.Logger())
	rt.Hosts = process.OnlyHosts(c.hosts()...)
	d := &dev{Command: c, began: began, data: data, rt: rt, api: api}
	defer d.close()
	if d.demo, err = demo.Start(ctx); err != nil {
		return err
	}
	if err := d.configure(lines); err != nil {
		return err
	}
	if err := c.probeNATS(ctx); err != nil {
		return err
	}
	if d.admin, err = c.listenAdmin(ctx); err != nil {
		return err
	}
	return rt.ServeOn(ctx, d.admin, lines.Run, d.serve)
}

// hosts are the names under which dev answers: those of --hosts, and the one
// that it listens on.
func (c *Command) hosts() []string {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil || host == "" {
		return c.Hosts
	}
	return append([]string{host}, c.Hosts...)
}

// adminAddress is the default of --admin-listen if no other program uses it.
const adminAddress = "127.0.0.1:8081"

func (c *Command) listenAdmin(ctx context.Context) (net.Listener, error) {
	if c.AdminListen != "" {
		return address.Listen(ctx, "--admin-listen", c.AdminListen)
	}
	if l, err := new(net.ListenConfig).Listen(ctx, "tcp", adminAddress); err == nil {
		return l, nil
	}
	return address.Listen(ctx, "--admin-listen", "127.0.0.1:0")
}

// serve starts everything and runs it until ctx ends or a part fails.
func (d *dev) serve(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	checked := make(chan struct{})
	all.Go(func() error { defer close(checked); d.checkRegistry(ctx); return nil })
	all.Go(func() error {
		if err := d.startServers(ctx); err != nil {
			return err
		}
		services, err := d.services()
		if err != nil {
			return err
		}
		for _, run := range services {
			all.Go(func() error { return run(ctx) })
		}
		all.Go(func() error { return d.greet(ctx, checked) })
		all.Go(func() error { return d.watchPostgres(ctx) })
		return nil
	})
	err := all.Wait()
	if errors.Is(context.Cause(ctx), process.ErrDraining) {
		return nil // an interrupted start may return any error
	}
	return err
}

// startTime bounds the start of NATS and Postgres, without a download.
const startTime = 2 * time.Minute

// startServers starts NATS and Postgres at the same time, and migrates.
func (d *dev) startServers(ctx context.Context) error {
	if err := d.findPostgres(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return d.useNATS(ctx) })
	all.Go(func() error { return d.usePostgres(ctx) })
	return all.Wait()
}

// close stops what was started, in the reverse order. Postgres and NATS have
// everything on disk.
func (d *dev) close() {
	if d.demo != nil {
		d.demo.Close()
	}
	if d.nats != nil {
		d.nats.Shutdown()
		d.nats.WaitForShutdown()
	}
	if d.pg != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := d.pg.Stop(ctx, localpg.Fast); err != nil {
			fmt.Fprintf(os.Stderr, "windlass: stop Postgres: %v\n", err)
		}
	}
}
