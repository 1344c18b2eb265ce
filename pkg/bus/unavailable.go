package bus

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Unavailable reports whether NATS is unavailable, or was for this operation:
// the connection is lost, no answer came in time, nothing responds, a stream is
// missing until it is repaired, or the server cannot store. The operation may be
// repeated as it is. Every other error is final, and so is a full stream's.
func Unavailable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrFull) {
		return false
	}
	for _, lost := range []error{
		nats.ErrConnectionClosed, nats.ErrNoServers, nats.ErrStaleConnection, nats.ErrConnectionDraining,
		jetstream.ErrJetStreamNotEnabled,
	} {
		if errors.Is(err, lost) {
			return true
		}
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && api.Code >= 500 { // the server's own trouble: no space, no quorum, no leader
		return true
	}
	return isTransient(err) || apiCode(err) == codeStoreFailed
}
