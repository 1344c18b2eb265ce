package script

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// FailedValue replaces the value of a failed call in the digest.
const FailedValue = "error"

// Answer returns the final text of a run in which every call that can succeed
// did. Calls of an unknown tool and calls with unusable arguments cannot.
func (p Plan) Answer() string { return p.AnswerIf(nil) }

// AnswerIf returns the final text of a run in which the calls that failed
// reports got an error, besides those that cannot succeed.
func (p Plan) AnswerIf(failed func(round, index int) bool) string {
	width := p.CallsPerRound()
	values := make([]string, 0, p.Rounds*width)
	for round := range p.Rounds {
		for index := range width {
			v := FailedValue
			if !p.hopeless(round, index) && (failed == nil || !failed(round, index)) {
				v = p.expected(round, index)
			}
			values = append(values, v)
		}
	}
	return p.FinalText(values)
}

func (p Plan) hopeless(round, index int) bool {
	return p.RawArguments != "" || p.EmptyArguments || p.unknownAt(round, index)
}

func (p Plan) expected(round, index int) string {
	if p.Child != nil {
		return ReadValue(p.child(round, index).Answer())
	}
	return strconv.FormatUint(Value(p.Seed, round, index), 10)
}

// FinalText returns the model's last text, from the value of every call in
// order.
func (p Plan) FinalText(values []string) string {
	if p.Text != "" {
		return p.Text
	}
	if p.Stamp {
		return strings.Repeat(Unstamped+" ", p.Tokens)
	}
	hash := sha256.New()
	for _, v := range values {
		hash.Write([]byte(v))
		hash.Write([]byte{','})
	}
	var text strings.Builder
	fmt.Fprintf(&text, "seed=%d rounds=%d width=%d digest=%s",
		p.Seed, p.Rounds, p.CallsPerRound(), hex.EncodeToString(hash.Sum(nil)[:8]))
	for n := 4; n < p.Tokens; n++ {
		text.WriteByte(' ')
		text.WriteString(filler[n%len(filler)])
	}
	return text.String()
}

// Unstamped is the placeholder for a token's time.
const Unstamped = "0000000000000000000"

var filler = [...]string{"turn", "by", "turn", "the", "load", "goes", "up", "and", "never", "slips", "back"}

// Value returns the number that a tool answers at one place of one run. It has
// 52 bits, so that a JSON reader that stores numbers as floats does not change
// it.
func Value(seed int64, round, index int) uint64 {
	return Mix(Mix(uint64(seed))^uint64(round)<<32^uint64(index)) >> 12
}

// Mix is the finalizer of SplitMix64.
func Mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// ReadValue finds the value in a tool output: the number under "value", or a
// sub-agent's digest. It searches the text, because an output may be cut off,
// quoted twice, or followed by a note.
func ReadValue(text string) string {
	for rest := text; ; {
		_, after, found := strings.Cut(rest, `value`)
		if !found {
			break
		}
		rest = after
		after = strings.TrimPrefix(after, `\`)
		after, isKey := strings.CutPrefix(after, `"`)
		after, hasColon := strings.CutPrefix(strings.TrimLeft(after, " "), ":")
		if number := leading(strings.TrimLeft(after, " "), "0123456789"); isKey && hasColon && number != "" {
			return number
		}
	}
	if _, after, found := strings.Cut(text, "digest="); found {
		if digest := leading(after, "0123456789abcdef"); digest != "" {
			return digest
		}
	}
	return FailedValue
}

// leading returns the longest prefix of text that has only characters of set.
func leading(text, set string) string {
	return text[:len(text)-len(strings.TrimLeft(text, set))]
}
