// Package itemid makes and reads the ids of items. An id names what the item
// was made in, so that most items are found by the primary key of a request and
// no index of items is kept: 32 hexadecimal digits of a request's id, and the
// item's place in it.
//
//	msg_0190…_in0002      the third item of a request's input
//	fc_0190…00020001      the second item of the output, which the second turn made
//	msg_0190…_cv0002      the third item that one change added to a conversation;
//	                      the digits are the change's, and name no request
//
// An item that comes with an id keeps it, whatever it says: an id is where to
// look first, not what is there.
package itemid

import (
	"fmt"
	"strconv"
	"strings"

	"windlass.dev/windlass/pkg/run"
)

const (
	inputMark = "_in"
	addedMark = "_cv"
)

// Prefix is what the ids of items of that type start with, before an
// underscore.
func Prefix(typ string) string {
	switch typ {
	case "message":
		return "msg"
	case "function_call":
		return "fc"
	case "function_call_output":
		return "fco"
	case "custom_tool_call":
		return "ctc"
	case "custom_tool_call_output":
		return "ctco"
	case "reasoning":
		return "rs"
	case "mcp_call":
		return "mcp"
	case "mcp_list_tools":
		return "mcpl"
	case "compaction":
		return "cmp"
	}
	return "item"
}

// Input is the id of an item of a request's input.
func Input(typ string, request run.ID, place int) string {
	return fmt.Sprintf("%s_%s%s%04x", Prefix(typ), run.Hex(request), inputMark, place)
}

// Added is the id of an item that one change adds to a conversation.
func Added(typ string, change run.ID, place int) string {
	return fmt.Sprintf("%s_%s%s%04x", Prefix(typ), run.Hex(change), addedMark, place)
}

// Output is the id of the item at a place of the output, which a turn of the
// request made. It does not change with attempts: what a client saw of one
// attempt has the same id in the next.
func Output(typ string, request run.ID, turn, place int) string {
	return fmt.Sprintf("%s_%s%04x%04x", Prefix(typ), run.Hex(request), turn, place)
}

// Retype is the id of an item that is shown as one of another type.
func Retype(id, from, to string) string {
	return Prefix(to) + strings.TrimPrefix(id, Prefix(from))
}

// Place is the part of an id that does not depend on the item's type.
func Place(id string) string {
	_, place, _ := strings.Cut(id, "_")
	return place
}

// Request reads which request an id was made for, and whether the item is of
// its input; ok is false for ids that were not made for a request.
func Request(id string) (request run.ID, input, ok bool) {
	const digits = 2 * len(request)
	rest := Place(id)
	if len(rest) < digits {
		return run.ID{}, false, false
	}
	request, err := run.ParseHex(rest[:digits])
	if err != nil {
		return run.ID{}, false, false
	}
	place := rest[digits:]
	if after, found := strings.CutPrefix(place, inputMark); found {
		return request, true, isPlace(after, 4)
	}
	return request, false, isPlace(place, 8)
}

// Turn is the part of an id that names the turn that made the item, the same
// for all items of the turn; ok is false for ids of items that no turn made.
func Turn(id string) (turn string, ok bool) {
	if _, input, ok := Request(id); !ok || input {
		return "", false
	}
	rest := Place(id)
	return rest[:len(rest)-4], true
}

// Step reads the request and the turn that made an item; ok is false for ids of
// items that no turn made.
func Step(id string) (request run.ID, turn int, ok bool) {
	made, ok := Turn(id)
	if !ok {
		return run.ID{}, 0, false
	}
	request, _, _ = Request(id)
	n, err := strconv.ParseInt(made[2*len(request):], 16, 32)
	return request, int(n), err == nil && n > 0
}

// isPlace reports whether s is at least that many of the digits that Input and
// Output write.
func isPlace(s string, least int) bool {
	return len(s) >= least && strings.Trim(s, "0123456789abcdef") == ""
}
