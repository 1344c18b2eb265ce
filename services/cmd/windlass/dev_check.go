package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/services/internal/startcheck"
)

// check looks whether the models and tools can be reached, and warns of those
// that cannot.
func (d *dev) check(ctx context.Context) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment}
	defer transport.CloseIdleConnections()
	checker := startcheck.Checker{Advice: d.advice, HTTP: &http.Client{Transport: transport}}
	for _, f := range checker.Check(ctx, d.reg, d.demo.serves) {
		if ctx.Err() != nil {
			return // what was not reached because of that is no news
		}
		fields := []zap.Field{zap.String("error", f.What), zap.String("hint", f.Hint)}
		if f.Model != "" {
			fields = append(fields, zap.String("model", f.Model))
		} else {
			fields = append(fields, zap.String("tool", f.Tool))
		}
		d.rt.Log.Warn("start check", fields...)
	}
}

// natsPatience is how long a NATS server may take to answer.
const natsPatience = 10 * time.Second

// findNATS waits for the server of --nats-url.
func (d *dev) findNATS(ctx context.Context) error {
	cfg, err := d.bus()
	if err != nil {
		return err
	}
	b, err := bus.Connect(ctx, cfg, "dev", zap.NewNop())
	if err != nil {
		return fmt.Errorf("--nats-url: %w", err)
	}
	defer b.Close(context.WithoutCancel(ctx))
	where := address(d.NATSURL)
	for began, told := time.Now(), false; ; {
		err := b.Ready(ctx)
		switch {
		case err == nil:
			return nil
		case time.Since(began) > natsPatience:
			return fmt.Errorf("NATS at %s did not answer in %s (%w): start it (nats-server -js), correct --nats-url, "+
				"or leave that out to use dev's own", where, natsPatience, reason(ctx, d.NATSURL, err))
		case !told && time.Since(began) > time.Second:
			told = true
			d.rt.Log.Warn("start check", zap.String("error", fmt.Sprintf("NATS at %s does not answer yet", where)),
				zap.String("hint", fmt.Sprintf("dev waits for up to %s", natsPatience)))
		}
		if !process.Sleep(ctx, 100*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}

// reason is why a server cannot be reached, if a connection shows it, else err.
func reason(ctx context.Context, server string, err error) error {
	u, parseErr := url.Parse(server)
	if parseErr != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, dialErr := new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	if dialErr != nil {
		return dialErr
	}
	_ = conn.Close()
	return err
}

// databaseWait is how long dev waits for a database that cannot be reached or
// is starting up.
const databaseWait = 10 * time.Second

// sayWaiting says on which database dev waits, and why.
func (d *dev) sayWaiting(reason error) {
	d.rt.Log.Warn("start check", zap.String("hint", fmt.Sprintf("dev waits for up to %s", databaseWait)),
		zap.String("error",
			fmt.Sprintf("the database at %s does not answer yet: %v", address(d.DatabaseURL), brief(reason))))
}

// databaseFault says what to do about a database that was given and cannot be
// used.
func (d *dev) databaseFault(err error) error {
	if d.pg != nil || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf(
		"the database at %s cannot be used: %w; correct --database-url, or leave it out to use a private Postgres",
		address(d.DatabaseURL), brief(err))
}

// brief is an error without the driver's account of each attempt.
func brief(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op
	}
	return err
}

// address is a URL without user, password and query.
func address(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return "the given URL"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
