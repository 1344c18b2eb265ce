package conn

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// codeStoreFailed is the server's error code for anything its store
	// refused: the per-subject limit, but also a full stream. Only the
	// description tells them apart.
	codeStoreFailed       jetstream.ErrorCode = 10077
	refusedPerSubjectText                     = "maximum messages per subject exceeded"
	fullBytesText                             = "maximum bytes exceeded"
	fullMessagesText                          = "maximum messages exceeded"
)

// ErrFull means that a stream is at its limit and refused a message. The
// message is not stored. The sweep publishes what a row needs when there is
// room again.
var ErrFull = errors.New("stream is full")

// ErrTooLarge means that a message exceeds the server's limit. A retry fails as
// well.
var ErrTooLarge = errors.New("message is too large for the bus")

// Codes of the JetStream API that pass by themselves while a cluster forms or
// elects.
const (
	codeNoPeers      jetstream.ErrorCode = 10005
	codeNotAvailable jetstream.ErrorCode = 10008
	codeNotLeader    jetstream.ErrorCode = 10009
)

// codeGeneral is the code of errors that have none of their own.
const codeGeneral jetstream.ErrorCode = 10051

// codeNoStorage means that the limits of all streams exceed the server's.
const codeNoStorage jetstream.ErrorCode = 10047

// Unavailable reports whether NATS is unavailable, or was for this operation:
// the connection is lost, no answer came in time, nothing responds, a stream is
// missing until it is repaired, or the server cannot store. The operation may
// be repeated unchanged. Every other error is final, a full stream's too.
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
	return isTransient(err) || APICode(err) == codeStoreFailed
}

// isTransient reports whether an error passes by itself: the server is away, or
// a cluster forms or elects.
func isTransient(err error) bool {
	switch APICode(err) {
	case codeNoPeers, codeNotAvailable, codeNotLeader,
		jetstream.JSErrCodeJetStreamNotEnabled, jetstream.JSErrCodeJetStreamNotEnabledForAccount:
		return true
	}
	return IsUnanswered(err) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, nats.ErrDisconnected) || errors.Is(err, nats.ErrReconnectBufExceeded) ||
		errors.Is(err, nats.ErrConnectionReconnecting) || IsMissing(err)
}

// IsUnanswered reports whether the server did not answer in time.
func IsUnanswered(err error) bool {
	return errors.Is(err, jetstream.ErrAsyncPublishTimeout) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, context.DeadlineExceeded)
}

// IsRefused reports whether the server refused a message because its subject
// holds one.
func IsRefused(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeStoreFailed &&
		strings.Contains(api.Description, refusedPerSubjectText)
}

// IsFull reports whether the server refused a message because its stream is at
// its limit.
func IsFull(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeStoreFailed &&
		(strings.Contains(api.Description, fullBytesText) || strings.Contains(api.Description, fullMessagesText))
}

// IsMissing reports whether an error says that a stream or a consumer does not
// exist.
func IsMissing(err error) bool {
	return errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerNotFound) ||
		errors.Is(err, jetstream.ErrConsumerDeleted)
}

// MapPublishError adds ErrTooLarge to the client's errors for large messages.
func MapPublishError(err error) error {
	if errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum) {
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	return err
}

// APICode returns the JetStream error code of an error, 0 if it has none.
func APICode(err error) jetstream.ErrorCode {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	var js jetstream.JetStreamError
	if errors.As(err, &js) && js.APIError() != nil {
		return js.APIError().ErrorCode
	}
	return 0
}
