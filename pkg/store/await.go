package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// awaitPause is the time between two attempts of Await.
const awaitPause = 300 * time.Millisecond

// ErrRefused means that the server refused a connection for a reason that does
// not pass by itself: the password, the database's name, a startup parameter.
var ErrRefused = errors.New("refused for good")

// refusedForever is an ErrRefused whose text is the server's reason alone.
type refusedForever struct{ error }

func (r refusedForever) Unwrap() error { return r.error }

func (r refusedForever) Is(target error) bool { return target == ErrRefused }

// Await returns once the database accepts writes. It waits at most for limit
// while the server cannot be reached, starts up, or is read-only, and calls tell
// once for each reason. A refusal that does not pass by itself ends it at once,
// with ErrRefused.
func Await(ctx context.Context, url string, limit time.Duration, tell func(reason error)) error {
	out := &outage{}
	pc, err := poolConfig(url, out, &hosts{outage: out})
	if err != nil {
		return err
	}
	cc := &pc.ConnConfig.Config
	cc.ValidateConnect = checkWritable
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	told := ""
	for {
		reason := reachOnce(ctx, cc)
		switch {
		case reason == nil:
			return nil
		case refusedForGood(reason):
			return refusedForever{reason}
		}
		if told != reason.Error() && ctx.Err() == nil {
			told = reason.Error()
			tell(reason)
		}
		select {
		case <-ctx.Done():
			return reason
		case <-time.After(awaitPause):
		}
	}
}

// reachOnce returns why no host of the URL accepts writes.
func reachOnce(ctx context.Context, cc *pgconn.Config) error {
	conn, err := pgconn.ConnectConfig(ctx, cc)
	if err != nil {
		return connectReason(err)
	}
	return conn.Close(ctx)
}
