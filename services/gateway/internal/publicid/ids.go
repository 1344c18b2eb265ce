// Package publicid writes and reads ids as clients see them, each in one
// spelling.
package publicid

import (
	"strings"

	"github.com/google/uuid"

	"windlass.dev/windlass/services/internal/dispatch"
)

const (
	ofResponse     = "resp_"
	ofConversation = "conv_"
	ofRequest      = "req_"
)

// Response is the id of a response.
func Response(id uuid.UUID) string { return ofResponse + dispatch.BusID(id) }

// ParseResponse reads what Response wrote.
func ParseResponse(public string) (uuid.UUID, bool) { return parse(ofResponse, public) }

// Conversation is the id of a conversation.
func Conversation(id uuid.UUID) string { return ofConversation + dispatch.BusID(id) }

// ParseConversation reads what Conversation wrote.
func ParseConversation(public string) (uuid.UUID, bool) { return parse(ofConversation, public) }

// Request is the id of a request that is one model call.
func Request(id uuid.UUID) string { return ofRequest + dispatch.BusID(id) }

// ParseRequest reads what Request wrote.
func ParseRequest(public string) (uuid.UUID, bool) { return parse(ofRequest, public) }

func parse(prefix, public string) (uuid.UUID, bool) {
	digits, ok := strings.CutPrefix(public, prefix)
	if !ok {
		return uuid.Nil, false
	}
	id, err := dispatch.RequestID(digits)
	return id, err == nil && dispatch.BusID(id) == digits
}
