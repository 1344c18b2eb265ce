package runtest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/conversations"
)

// NewItem returns an item to add to a conversation.
func NewItem(id string) run.NewItem {
	return run.NewItem{ID: id, Data: []byte("data of " + id)}
}

// Conversation returns a conversation with items msg_1 to msg_n.
func Conversation(tb testing.TB, w *World, n int) uuid.UUID {
	tb.Helper()
	c := conversations.NewConversation{ID: uuid.Must(uuid.NewV7()), Tenant: Tenant, Metadata: []byte(`{"a":"\u0000"}`)}
	for i := range n {
		c.Items = append(c.Items, NewItem(fmt.Sprintf("%s_%d", "msg", i+1)))
	}
	if err := w.Conversations.Create(tb.Context(), c); err != nil {
		tb.Fatal(err)
	}
	return c.ID
}

// On puts a request on a conversation at the version seen.
func On(conversation uuid.UUID, seen int64) func(*store.NewRequest) {
	return func(n *store.NewRequest) { n.Conversation, n.Seen = conversation, seen }
}

// State reads the state of a conversation of [Tenant].
func State(tb testing.TB, w *World, id uuid.UUID, ids ...string) conversations.State {
	tb.Helper()
	c, err := w.Conversations.State(tb.Context(), Tenant, id, ids)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// ItemIDs returns the ids of a conversation's items, oldest first, and checks
// that the conversation counts them right.
func ItemIDs(tb testing.TB, w *World, id uuid.UUID) string {
	tb.Helper()
	page := conversations.Page{Tenant: Tenant, Conversation: id, OldestFirst: true, Limit: 1000}
	items, err := w.Conversations.Items(tb.Context(), page)
	if err != nil {
		tb.Fatal(err)
	}
	all, err := w.Conversations.History(tb.Context(), Tenant, id)
	if err != nil || len(all) != len(items) {
		tb.Fatalf("History = %d items, %v; the list has %d", len(all), err, len(items))
	}
	var names []string
	var size int64
	for i, it := range items {
		names = append(names, it.ID)
		size += int64(len(it.Data))
		if string(all[i]) != string(it.Data) {
			tb.Errorf("item %d is %q in History, %q in the list", i, all[i], it.Data)
		}
	}
	if c := State(tb, w, id); c.Items != len(items) || c.Bytes != size {
		tb.Errorf("the conversation counts %d items of %d bytes, has %d of %d", c.Items, c.Bytes, len(items), size)
	}
	return strings.Join(names, " ")
}
