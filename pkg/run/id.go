package run

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// ID is the id of a request or a conversation: a UUIDv7.
type ID = [16]byte

// Hex is an id in subjects, messages and logs: 32 hexadecimal digits.
func Hex(id ID) string { return hex.EncodeToString(id[:]) }

// ParseHex reads what [Hex] wrote, in either case.
func ParseHex(s string) (ID, error) {
	var id ID
	if b, err := hex.DecodeString(s); err != nil || copy(id[:], b) != len(id) || len(b) != len(id) {
		return id, fmt.Errorf("request id %q is not 32 hexadecimal digits", s)
	}
	return id, nil
}

// CreatedAt is when the request was accepted, by the clock of the gateway that
// made its id: the time that clients see, the same in every answer and before
// any row is read.
func CreatedAt(id ID) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(append([]byte{0, 0}, id[:6]...))))
}

// Prefix is what public ids of one kind start with.
type Prefix string

// The prefixes. A request that is one model call has the prefix CallID, because
// its body has an id of the upstream's.
const (
	ResponseID     Prefix = "resp_"
	ConversationID Prefix = "conv_"
	CallID         Prefix = "req_"
	// KeyPrefix starts API keys and the idempotency keys that tools get.
	KeyPrefix Prefix = "wl_"
	// ToolCallPrefix starts the ids of tool calls that Windlass names itself.
	ToolCallPrefix Prefix = "call_"
)

// Format is the id as clients see it.
func (p Prefix) Format(id ID) string { return string(p) + Hex(id) }

// Parse reads what Format wrote, in that one spelling.
func (p Prefix) Parse(public string) (ID, bool) {
	digits, ok := strings.CutPrefix(public, string(p))
	if !ok {
		return ID{}, false
	}
	id, err := ParseHex(digits)
	return id, err == nil && Hex(id) == digits
}

// IdempotencyKey is the key that a tool gets with a call. It is the same for
// every attempt of the call, whatever the epoch.
func IdempotencyKey(request ID, turn, index int, callID string) string {
	h := sha256.New()
	h.Write(request[:])
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(turn)))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(index)))
	h.Write([]byte(callID))
	return string(KeyPrefix) + hex.EncodeToString(h.Sum(nil)[:24])
}

// InputHash is what a result must echo to be committed to a step: the hash of
// the tool's name and the arguments.
func InputHash(tool string, arguments []byte) []byte {
	h := sha256.New()
	h.Write([]byte(tool))
	h.Write([]byte{0})
	h.Write(arguments)
	return h.Sum(nil)
}
