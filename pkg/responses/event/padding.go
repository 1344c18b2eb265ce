package event

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// Padding evens out how long the deltas of one response are on the wire, so
// that an observer of an encrypted stream does not learn the lengths of its
// tokens. It is the member obfuscation, as in OpenAI's API. It follows from the
// response and the event's sequence number: all readers with padding get the
// same bytes. The letters need not be secret, because only lengths are
// observable.
type Padding struct{ seed uint64 }

const (
	// paddedTo is the step to which the length of a delta is rounded up.
	paddedTo = 16
	// paddedToLogprobs is the step for a delta with logprobs, which hold the
	// token twice, and its alternatives.
	paddedToLogprobs = 512

	delta      = `"delta":"`
	noLogprobs = `","logprobs":[]`
)

// PaddingOf returns the padding of a response with this id.
func PaddingOf(id [16]byte) *Padding { return &Padding{binary.BigEndian.Uint64(id[8:])} }

// Add returns the event padded for its sequence number. Events that are not
// deltas, and a nil Padding, add nothing.
func (p *Padding) Add(e Event, place int) Event {
	if p == nil || !strings.HasSuffix(e.Type, ".delta") {
		return e
	}
	at := bytes.Index(e.Data, []byte(delta)) // the members before it hold no text of a model's
	if at < 0 {
		return e
	}
	said, block := e.Data[at+len(delta):], paddedTo
	switch {
	case bytes.HasSuffix(said, []byte(noLogprobs)):
		said = said[:len(said)-len(noLogprobs)]
	case e.Type == "response.output_text.delta":
		block = paddedToLogprobs
	default:
		said = said[:len(said)-1]
	}
	const member = `,"obfuscation":"`
	b := make([]byte, 0, len(e.Data)+len(member)+block+1)
	b = append(append(b, e.Data...), member...)
	b = p.letters(b, place, block-len(said)%block)
	return Event{e.Type, append(b, '"')}
}

// letters appends n letters.
func (p *Padding) letters(b []byte, place, n int) []byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	state, bits := p.seed+uint64(place)*0xd1342543de82ef95, uint64(0)
	for i := range n {
		if i%10 == 0 { // splitmix64: 60 bits of each step
			state += 0x9e3779b97f4a7c15
			bits = (state ^ state>>30) * 0xbf58476d1ce4e5b9
			bits = (bits ^ bits>>27) * 0x94d049bb133111eb
			bits ^= bits >> 31
		}
		b = append(b, alphabet[bits&63])
		bits >>= 6
	}
	return b
}
