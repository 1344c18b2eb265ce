// Package history finds what a request continues: an earlier response, a
// conversation, or items that it names by their ids.
//
// A response is continued with its whole history or not at all. A
// previous_response_id may name a response that is completed or incomplete; any
// other state is a 400 with a code of its own, as is a line of more than
// store.MaxAncestors responses or of more bytes than a body may have
// (TestALongHistoryIsRefused in package gateway). Instructions are not
// inherited. After a response is deleted, every continuation of it and of its
// descendants answers 400 previous_response_not_found with the id that is
// missing.
//
// A response runs on a conversation as it was when the response was accepted.
// Until the response ends, another one, and every change of the conversation's
// items, answers 400 conversation_locked, as OpenAI does. Clients retry.
// A conversation of more than conversations.MaxItems items, the input
// included, or of more bytes than a body may have answers 400
// conversation_too_long until items are deleted.
//
// An item_reference is resolved when the request is accepted, and the request
// is stored with the item in place of the reference: it may be deleted
// afterwards. References find output items of responses that have ended, input
// items by the ids that Windlass gave them, and items of conversations by any
// id, all of the same tenant and stored. Most ids say where the item is
// (package itemid). What is unknown, deleted, not stored or another tenant's
// answers the same 404.
package history

import (
	"sync"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/pkg/store/conversations"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/services/gateway/internal/admission"
)

// Server finds histories. It is safe for concurrent use.
type Server struct {
	store         *store.Store
	answers       *answers.Store
	conversations *conversations.Store
	rules         *admission.Rules
	maxBody       int64 // bytes that a history may have, as if it were sent as input
	tasks         *sync.WaitGroup
}

// New returns a Server. tasks counts queries that outlive their handler.
func New(db *postgres.DB, rules *admission.Rules, maxBody int64, tasks *sync.WaitGroup) *Server {
	return &Server{
		store: store.New(db), answers: answers.New(db), conversations: conversations.New(db),
		rules: rules, maxBody: maxBody, tasks: tasks,
	}
}
