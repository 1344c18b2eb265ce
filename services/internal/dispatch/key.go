package dispatch

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"

	"github.com/google/uuid"

	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// Key signs tool commands. Only services that dispatch tools hold it; a result is believed when it echoes the token.
type Key []byte

// minKey is the shortest key that is accepted, in bytes.
const minKey = 16

// ErrShortKey says that a dispatch key can be guessed.
var ErrShortKey = errors.New("the dispatch key is shorter than 16 bytes")

// Check returns ErrShortKey for a key that is missing or too short.
func (k Key) Check() error {
	if len(k) < minKey {
		return ErrShortKey
	}
	return nil
}

// Token is the HMAC-SHA256 over the attempt's identity and call id.
func (k Key) Token(id *stepv1.StepIdentity, callID string) []byte {
	mac := hmac.New(sha256.New, k)
	mac.Write([]byte(id.GetRequestId()))
	for _, n := range []uint32{id.GetEpoch(), id.GetTurn(), id.GetIndex(), id.GetAttempt()} {
		mac.Write(binary.BigEndian.AppendUint32(nil, n))
	}
	mac.Write([]byte(callID))
	return mac.Sum(nil)
}

// Holds tells whether token was made with this key for this attempt.
func (k Key) Holds(token []byte, id *stepv1.StepIdentity, callID string) bool {
	return hmac.Equal(token, k.Token(id, callID))
}

// IdempotencyKey is the key a tool sees. It is the same for every attempt of a call, whatever the epoch.
func IdempotencyKey(request uuid.UUID, turn, index int, callID string) string {
	h := sha256.New()
	h.Write(request[:])
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(turn)))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(index)))
	h.Write([]byte(callID))
	return "wl_" + hex.EncodeToString(h.Sum(nil)[:24])
}

// InputHash is what a result must echo to be committed to a step: the hash of tool name and arguments.
func InputHash(tool string, arguments []byte) []byte {
	h := sha256.New()
	h.Write([]byte(tool))
	h.Write([]byte{0})
	h.Write(arguments)
	return h.Sum(nil)
}
