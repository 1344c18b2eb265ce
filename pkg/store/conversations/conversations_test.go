package conversations_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/pkg/store/conversations"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
)

func TestConversations(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	id := runtest.Conversation(t, s, 2)
	c, err := s.Conversations.Read(t.Context(), runtest.Tenant, id)
	if err != nil || c.ID != id || string(c.Metadata) != `{"a":"\u0000"}` || c.CreatedAt.IsZero() {
		t.Errorf("Conversation = %+v, %v", c, err)
	}
	again := conversations.NewConversation{ID: id, Tenant: runtest.Tenant, Metadata: []byte(`{}`), Items: []run.NewItem{runtest.NewItem("msg_9")}}
	if err := s.Conversations.Create(t.Context(), again); err != nil {
		t.Errorf("a repeated CreateConversation: %v", err)
	}
	if got := runtest.ItemIDs(t, s, id); got != "msg_1 msg_2" {
		t.Errorf("after the repetition the items are %s", got)
	}
	if c, err = s.Conversations.SetMetadata(t.Context(), runtest.Tenant, id, []byte(`{"b":"c"}`)); err != nil || string(c.Metadata) != `{"b":"c"}` || c.ID != id {
		t.Errorf("SetMetadata = %+v, %v", c, err)
	}
	if got := runtest.ItemIDs(t, s, runtest.Conversation(t, s, 0)); got != "" {
		t.Errorf("an empty conversation has the items %q", got)
	}
	if err := s.Conversations.Delete(t.Context(), runtest.Tenant, id); err != nil {
		t.Fatal(err)
	}
	if left := runtest.Ask[int](t, s, `SELECT count(*) FROM conversation_items`)[0]; left != 0 {
		t.Errorf("%d items are left of a deleted conversation", left)
	}
	if err := s.Conversations.Delete(t.Context(), runtest.Tenant, id); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a second DeleteConversation = %v, want ErrNotFound", err)
	}
}

func TestAnotherTenantsConversationIsNotThere(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	id := runtest.Conversation(t, s, 1)
	before := runtest.Dump(t, s)
	const other = "other"
	ctx := t.Context()
	_, read := s.Conversations.Read(ctx, other, id)
	_, set := s.Conversations.SetMetadata(ctx, other, id, nil)
	_, stateErr := s.Conversations.State(ctx, other, id, nil)
	_, list := s.Conversations.Items(ctx, conversations.Page{Tenant: other, Conversation: id, Limit: 9})
	_, one := s.Conversations.Item(ctx, other, id, "msg_1")
	_, all := s.Conversations.History(ctx, other, id)
	for what, err := range map[string]error{
		"Conversation": read, "SetMetadata": set, "ConversationState": stateErr, "ConversationItems": list, "ConversationItem": one,
		"Spoken": all, "DeleteConversation": s.Conversations.Delete(ctx, other, id),
		"ChangeItems": s.Conversations.ChangeItems(ctx, conversations.Change{ID: uuid.New(), Tenant: other, Conversation: id, Remove: "msg_1"}),
	} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s for another tenant = %v, want ErrNotFound", what, err)
		}
	}
	n := runtest.NewRequest()
	n.Tenant, n.Conversation = other, id
	wantStale(t, "Accept of another tenant's", runtest.Refusal(t, s, n))
	if found, err := s.Answers.FindItems(ctx, other, []answers.ItemRef{{ID: "msg_1"}}, 1000); err != nil || len(found.Items) != 0 {
		t.Errorf("FindItems for another tenant = %v, %v", found, err)
	}
	if diff := cmp.Diff(before, runtest.Dump(t, s)); diff != "" {
		t.Errorf("another tenant wrote (-before +after):\n%s", diff)
	}
}

func TestConversationItems(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	id := runtest.Conversation(t, s, 5)
	other := runtest.Conversation(t, s, 6)
	if err := s.Conversations.ChangeItems(t.Context(), conversations.Change{ID: uuid.New(), Tenant: runtest.Tenant, Conversation: id, Remove: "msg_3"}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		up    bool
		after string
		limit int
		want  string
		err   error
	}{
		{true, "", 9, "msg_1 msg_2 msg_4 msg_5", nil},
		{false, "", 9, "msg_5 msg_4 msg_2 msg_1", nil},
		{true, "", 2, "msg_1 msg_2", nil},
		{false, "", 1, "msg_5", nil},
		{true, "msg_2", 9, "msg_4 msg_5", nil},
		{false, "msg_4", 1, "msg_2", nil},
		{true, "msg_5", 9, "", nil},
		{false, "msg_1", 9, "", nil},
		{true, "msg_3", 9, "", conversations.ErrNoItem},
		{false, "msg_6", 9, "", conversations.ErrNoItem},
	} {
		got, err := s.Conversations.Items(t.Context(), conversations.Page{
			Tenant: runtest.Tenant, Conversation: id, OldestFirst: tt.up, After: tt.after, Limit: tt.limit,
		})
		names := strings.Join(postgres.Column(got, func(i conversations.Item) string { return i.ID }), " ")
		if !errors.Is(err, tt.err) || names != tt.want {
			t.Errorf("%+v: %q, %v", tt, names, err)
		}
	}
	if data, err := s.Conversations.Item(t.Context(), runtest.Tenant, id, "msg_4"); err != nil || string(data) != "data of msg_4" {
		t.Errorf("ConversationItem = %q, %v", data, err)
	}
	for _, name := range []string{"msg_3", "msg_6"} {
		if _, err := s.Conversations.Item(t.Context(), runtest.Tenant, id, name); !errors.Is(err, conversations.ErrNoItem) {
			t.Errorf("ConversationItem of %s, which is not in it = %v, want ErrNoItem", name, err)
		}
	}
	if got := runtest.ItemIDs(t, s, other); got != "msg_1 msg_2 msg_3 msg_4 msg_5 msg_6" {
		t.Errorf("the other conversation has the items %s", got)
	}
}

func TestChangeItems(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	id := runtest.Conversation(t, s, 2)
	add := conversations.Change{ID: uuid.New(), Tenant: runtest.Tenant, Conversation: id, Add: []run.NewItem{runtest.NewItem("msg_3"), runtest.NewItem("msg_4")}}
	for range 2 { // the second as if the answer was lost
		if err := s.Conversations.ChangeItems(t.Context(), add); err != nil {
			t.Fatal(err)
		}
	}
	remove := conversations.Change{ID: uuid.New(), Tenant: runtest.Tenant, Conversation: id, Seen: 1, Remove: "msg_1"}
	for range 2 {
		if err := s.Conversations.ChangeItems(t.Context(), remove); err != nil {
			t.Fatal(err)
		}
	}
	before := runtest.Dump(t, s)
	for _, seen := range []int64{0, 1, 3} {
		late := conversations.Change{ID: uuid.New(), Tenant: runtest.Tenant, Conversation: id, Seen: seen, Add: []run.NewItem{runtest.NewItem("msg_5")}, Remove: "msg_2"}
		wantStale(t, fmt.Sprintf("ChangeItems at version %d of 2", seen), s.Conversations.ChangeItems(t.Context(), late))
	}
	wantStale(t, "a change that others followed", s.Conversations.ChangeItems(t.Context(), add))
	if diff := cmp.Diff(before, runtest.Dump(t, s)); diff != "" {
		t.Errorf("a refused change wrote (-before +after):\n%s", diff)
	}
	if got := runtest.ItemIDs(t, s, id); got != "msg_2 msg_3 msg_4" {
		t.Errorf("the items are %s", got)
	}
	if err := s.Conversations.Delete(t.Context(), runtest.Tenant, id); err != nil {
		t.Fatal(err)
	}
	remove.Seen = 2
	if err := s.Conversations.ChangeItems(t.Context(), remove); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("ChangeItems of a deleted conversation = %v, want ErrNotFound", err)
	}
}

func TestConversationState(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	id := runtest.Conversation(t, s, 1)
	items := []run.NewItem{
		{ID: "fc_1", Calls: []byte("a\x00"), Data: []byte("1")},
		{ID: "fc_2", Calls: []byte("b"), Data: []byte("2")},
		{ID: "fco_1", Answers: []byte("a\x00"), Data: []byte("3")},
	}
	by := uuid.New()
	if err := s.Conversations.ChangeItems(t.Context(), conversations.Change{ID: by, Tenant: runtest.Tenant, Conversation: id, Add: items}); err != nil {
		t.Fatal(err)
	}
	want := conversations.State{
		Version: 1, ChangedBy: by, Items: 4, Bytes: int64(len("data of msg_1") + 3), Present: []string{"msg_1", "fc_1"},
		Links: []conversations.Link{{CallID: []byte("a\x00")}, {CallID: []byte("b")}, {CallID: []byte("a\x00"), Answer: true}},
	}
	got := runtest.State(t, s, id, "msg_1", "fc_1", "msg_2")
	if got.ID != id || got.Metadata == nil || got.CreatedAt.IsZero() {
		t.Errorf("the conversation is %+v", got.Conversation)
	}
	got.Conversation = conversations.Conversation{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
