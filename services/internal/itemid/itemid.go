// Package itemid makes and reads the ids of items. An id names what the item was made in, so that most items are found by the primary
// key of a request and nobody keeps an index of them: 32 hexadecimal digits of a request's id, and the item's place in it.
//
//	msg_0190…_in0002      the third item of a request's input
//	fc_0190…00020001      the second item of the output, which the second turn made
//	msg_0190…_cv0002      the third item that one change added to a conversation; the digits are that change's, and name no request
//
// Items that came with an id keep it, whatever it says: an id is where to look first, not what is there.
package itemid

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/internal/dispatch"
)

const (
	inputMark = "_in"
	addedMark = "_cv"
)

// Stored gives the items of a request's input the form in which they are read, with ids that are the same each time.
func Stored(request uuid.UUID, input []item.Item) []item.Item {
	return named(request, inputMark, input)
}

// Added gives items that one change adds to a conversation the form in which they are read.
func Added(change uuid.UUID, items []item.Item) []item.Item {
	return named(change, addedMark, items)
}

func named(by uuid.UUID, mark string, items []item.Item) []item.Item {
	all := make([]item.Item, len(items))
	for i, it := range items {
		all[i] = it.Stored(fmt.Sprintf("%s_%s%s%04x", item.Prefix(it.Type), dispatch.BusID(by), mark, i))
	}
	return all
}

// Output is the id of the item at a place of the output that a turn of the request has made. It does not change with attempts: what a
// client saw of one attempt is what the next one calls it.
func Output(prefix string, request uuid.UUID, turn, place int) string {
	return fmt.Sprintf("%s_%s%04x%04x", prefix, dispatch.BusID(request), turn, place)
}

// Request reads which request an id was made for, and whether the item is of its input; ok is false for ids that were not made for
// a request.
func Request(id string) (request uuid.UUID, input, ok bool) {
	const digits = 2 * len(request)
	_, rest, _ := strings.Cut(id, "_")
	if len(rest) < digits {
		return uuid.Nil, false, false
	}
	request, err := dispatch.RequestID(rest[:digits])
	if err != nil {
		return uuid.Nil, false, false
	}
	place := rest[digits:]
	if after, found := strings.CutPrefix(place, inputMark); found {
		return request, true, isPlace(after, 4)
	}
	return request, false, isPlace(place, 8)
}

// Turn names the turn that an item was said in, the same for all its items; ok is false for ids of items that were not said.
func Turn(id string) (turn string, ok bool) {
	if _, input, ok := Request(id); !ok || input {
		return "", false
	}
	_, rest, _ := strings.Cut(id, "_")
	return rest[:len(rest)-4], true
}

// Step reads the request and the turn that an item was said in; ok is false for
// ids of items that were not said.
func Step(id string) (request uuid.UUID, turn int, ok bool) {
	said, ok := Turn(id)
	if !ok {
		return uuid.Nil, 0, false
	}
	request, _, _ = Request(id)
	n, err := strconv.ParseInt(said[2*len(request):], 16, 32)
	return request, int(n), err == nil && n > 0
}

// isPlace tells whether s is at least that many of the digits that Stored and Output write.
func isPlace(s string, least int) bool {
	return len(s) >= least && strings.Trim(s, "0123456789abcdef") == ""
}
