package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"windlass.dev/windlass/pkg/retry"
)

// awaitPause is the time between two attempts of Await.
const awaitPause = 300 * time.Millisecond

// ErrRefused means that the server refused a connection for a reason that does
// not pass by itself: the password, the database's name, a startup parameter.
var ErrRefused = errors.New("refused for good")

// refusedError is an ErrRefused whose text is the server's reason alone.
type refusedError struct{ error }

func (r refusedError) Unwrap() error { return r.error }

func (r refusedError) Is(target error) bool { return target == ErrRefused }

// Await returns once the database accepts writes. It waits for up to limit
// while the server cannot be reached, starts up, or is read-only, and calls
// report once per reason. It returns ErrRefused at once if the server's reason
// does not pass by itself.
func Await(ctx context.Context, url string, limit time.Duration, report func(reason error)) error {
	out := &outage{}
	pc, err := poolConfig(url, out, &hosts{outage: out})
	if err != nil {
		return err
	}
	cc := &pc.ConnConfig.Config
	cc.ValidateConnect = checkWritable
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	reported := ""
	for {
		reason := tryConnect(ctx, cc)
		switch {
		case reason == nil:
			return nil
		case refusedForGood(reason):
			return refusedError{reason}
		}
		if reported != reason.Error() && ctx.Err() == nil {
			reported = reason.Error()
			report(reason)
		}
		if !retry.Sleep(ctx, awaitPause) {
			return reason
		}
	}
}

// tryConnect returns nil, or why no host of the URL accepts writes.
func tryConnect(ctx context.Context, cc *pgconn.Config) error {
	conn, err := pgconn.ConnectConfig(ctx, cc)
	if err != nil {
		return connectReason(err)
	}
	return conn.Close(ctx)
}
