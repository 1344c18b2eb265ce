package dispatch

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/secrets"
)

// Key signs tool commands. Only services that dispatch tools hold it; a result
// that echoes the token is believed. It is one or more secrets, separated by
// commas: the first one signs, and tokens of all of them hold. Spaces around a
// comma belong to no secret; a secret alone is all of its bytes.
type Key []byte

// minKey is the shortest accepted key, in bytes.
const minKey = 16

// ErrShortKey reports a dispatch key that can be guessed.
var ErrShortKey = errors.New("the dispatch key is shorter than 16 bytes")

// Check returns ErrShortKey if a secret is missing or too short.
func (k Key) Check() error {
	for _, secret := range secrets.Split(k) {
		if len(secret) < minKey {
			return ErrShortKey
		}
	}
	return nil
}

// Token returns the HMAC-SHA256 over the attempt's identity and call id.
func (k Key) Token(id *stepv1.StepIdentity, callID string) []byte {
	return sign(secrets.Split(k)[0], id, callID)
}

func sign(secret []byte, id *stepv1.StepIdentity, callID string) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id.GetRequestId()))
	for _, n := range []uint32{id.GetEpoch(), id.GetTurn(), id.GetIndex(), id.GetAttempt()} {
		mac.Write(binary.BigEndian.AppendUint32(nil, n))
	}
	mac.Write([]byte(callID))
	return mac.Sum(nil)
}

// Holds reports whether token was made with a secret of this key for this
// attempt.
func (k Key) Holds(token []byte, id *stepv1.StepIdentity, callID string) bool {
	for _, secret := range secrets.Split(k) {
		if hmac.Equal(token, sign(secret, id, callID)) {
			return true
		}
	}
	return false
}
