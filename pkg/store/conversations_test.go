package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/store/postgres"
)

func newItem(id string) NewItem { return NewItem{ID: id, Data: []byte("data of " + id)} }

// talk is a conversation with items msg_1 to msg_n.
func talk(tb testing.TB, s *Store, n int) uuid.UUID {
	tb.Helper()
	c := NewConversation{ID: uuid.Must(uuid.NewV7()), Tenant: testTenant, Metadata: []byte(`{"a":"\u0000"}`)}
	for i := range n {
		c.Items = append(c.Items, newItem(fmt.Sprintf("msg_%d", i+1)))
	}
	if err := s.CreateConversation(tb.Context(), c); err != nil {
		tb.Fatal(err)
	}
	return c.ID
}

// on puts a request on a conversation at the version seen.
func on(conversation uuid.UUID, seen int64) func(*NewRequest) {
	return func(n *NewRequest) { n.Conversation, n.Seen = conversation, seen }
}

func state(tb testing.TB, s *Store, id uuid.UUID, ids ...string) ConversationState {
	tb.Helper()
	c, err := s.ConversationState(tb.Context(), testTenant, id, ids)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// spoken is the ids of a conversation's items, oldest first; it checks that the conversation counts them right.
func spoken(tb testing.TB, s *Store, id uuid.UUID) string {
	tb.Helper()
	items, err := s.ConversationItems(tb.Context(), ItemsPage{Tenant: testTenant, Conversation: id, OldestFirst: true, Limit: 1000})
	if err != nil {
		tb.Fatal(err)
	}
	all, err := s.Spoken(tb.Context(), testTenant, id)
	if err != nil || len(all) != len(items) {
		tb.Fatalf("Spoken = %d items, %v; the list has %d", len(all), err, len(items))
	}
	var names []string
	var size int64
	for i, it := range items {
		names = append(names, it.ID)
		size += int64(len(it.Data))
		if string(all[i]) != string(it.Data) {
			tb.Errorf("item %d is %q in Spoken, %q in the list", i, all[i], it.Data)
		}
	}
	if c := state(tb, s, id); c.Items != len(items) || c.Bytes != size {
		tb.Errorf("the conversation counts %d items of %d bytes, has %d of %d", c.Items, c.Bytes, len(items), size)
	}
	return strings.Join(names, " ")
}

func TestConversations(t *testing.T) {
	t.Parallel()
	s := open(t)
	id := talk(t, s, 2)
	c, err := s.Conversation(t.Context(), testTenant, id)
	if err != nil || c.ID != id || string(c.Metadata) != `{"a":"\u0000"}` || c.CreatedAt.IsZero() {
		t.Errorf("Conversation = %+v, %v", c, err)
	}
	again := NewConversation{ID: id, Tenant: testTenant, Metadata: []byte(`{}`), Items: []NewItem{newItem("msg_9")}}
	if err := s.CreateConversation(t.Context(), again); err != nil {
		t.Errorf("a repeated CreateConversation: %v", err)
	}
	if got := spoken(t, s, id); got != "msg_1 msg_2" {
		t.Errorf("after the repetition the items are %s", got)
	}
	if c, err = s.SetMetadata(t.Context(), testTenant, id, []byte(`{"b":"c"}`)); err != nil || string(c.Metadata) != `{"b":"c"}` || c.ID != id {
		t.Errorf("SetMetadata = %+v, %v", c, err)
	}
	if got := spoken(t, s, talk(t, s, 0)); got != "" {
		t.Errorf("an empty conversation has the items %q", got)
	}
	if err := s.DeleteConversation(t.Context(), testTenant, id); err != nil {
		t.Fatal(err)
	}
	if left := ask[int](t, s, `SELECT count(*) FROM conversation_items`)[0]; left != 0 {
		t.Errorf("%d items are left of a deleted conversation", left)
	}
	if err := s.DeleteConversation(t.Context(), testTenant, id); !errors.Is(err, ErrNotFound) {
		t.Errorf("a second DeleteConversation = %v, want ErrNotFound", err)
	}
}

func TestAnotherTenantsConversationIsNotThere(t *testing.T) {
	t.Parallel()
	s := open(t)
	id := talk(t, s, 1)
	before := dump(t, s)
	const other = "other"
	ctx := t.Context()
	_, read := s.Conversation(ctx, other, id)
	_, set := s.SetMetadata(ctx, other, id, nil)
	_, stateErr := s.ConversationState(ctx, other, id, nil)
	_, list := s.ConversationItems(ctx, ItemsPage{Tenant: other, Conversation: id, Limit: 9})
	_, one := s.ConversationItem(ctx, other, id, "msg_1")
	_, all := s.Spoken(ctx, other, id)
	for what, err := range map[string]error{
		"Conversation": read, "SetMetadata": set, "ConversationState": stateErr, "ConversationItems": list, "ConversationItem": one,
		"Spoken": all, "DeleteConversation": s.DeleteConversation(ctx, other, id),
		"ChangeItems": s.ChangeItems(ctx, ItemsChange{ID: uuid.New(), Tenant: other, Conversation: id, Remove: "msg_1"}),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s for another tenant = %v, want ErrNotFound", what, err)
		}
	}
	n := newRequest()
	n.Tenant, n.Conversation = other, id
	wantStale(t, "Accept of another tenant's", refusal(t, s, n))
	if found, err := s.FindItems(ctx, other, []ItemRef{{ID: "msg_1"}}, 1000); err != nil || len(found.Items) != 0 {
		t.Errorf("FindItems for another tenant = %v, %v", found, err)
	}
	if diff := cmp.Diff(before, dump(t, s)); diff != "" {
		t.Errorf("another tenant wrote (-before +after):\n%s", diff)
	}
}

func TestConversationItems(t *testing.T) {
	t.Parallel()
	s := open(t)
	id := talk(t, s, 5)
	other := talk(t, s, 6)
	if err := s.ChangeItems(t.Context(), ItemsChange{ID: uuid.New(), Tenant: testTenant, Conversation: id, Remove: "msg_3"}); err != nil {
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
		{true, "msg_3", 9, "", ErrNoItem},
		{false, "msg_6", 9, "", ErrNoItem},
	} {
		got, err := s.ConversationItems(t.Context(), ItemsPage{
			Tenant: testTenant, Conversation: id, OldestFirst: tt.up, After: tt.after, Limit: tt.limit,
		})
		names := strings.Join(postgres.Column(got, func(i StoredItem) string { return i.ID }), " ")
		if !errors.Is(err, tt.err) || names != tt.want {
			t.Errorf("%+v: %q, %v", tt, names, err)
		}
	}
	if data, err := s.ConversationItem(t.Context(), testTenant, id, "msg_4"); err != nil || string(data) != "data of msg_4" {
		t.Errorf("ConversationItem = %q, %v", data, err)
	}
	for _, name := range []string{"msg_3", "msg_6"} {
		if _, err := s.ConversationItem(t.Context(), testTenant, id, name); !errors.Is(err, ErrNoItem) {
			t.Errorf("ConversationItem of %s, which is not in it = %v, want ErrNoItem", name, err)
		}
	}
	if got := spoken(t, s, other); got != "msg_1 msg_2 msg_3 msg_4 msg_5 msg_6" {
		t.Errorf("the other conversation has the items %s", got)
	}
}

func TestChangeItems(t *testing.T) {
	t.Parallel()
	s := open(t)
	id := talk(t, s, 2)
	add := ItemsChange{ID: uuid.New(), Tenant: testTenant, Conversation: id, Add: []NewItem{newItem("msg_3"), newItem("msg_4")}}
	for range 2 { // the second as if the answer was lost
		if err := s.ChangeItems(t.Context(), add); err != nil {
			t.Fatal(err)
		}
	}
	remove := ItemsChange{ID: uuid.New(), Tenant: testTenant, Conversation: id, Seen: 1, Remove: "msg_1"}
	for range 2 {
		if err := s.ChangeItems(t.Context(), remove); err != nil {
			t.Fatal(err)
		}
	}
	before := dump(t, s)
	for _, seen := range []int64{0, 1, 3} {
		late := ItemsChange{ID: uuid.New(), Tenant: testTenant, Conversation: id, Seen: seen, Add: []NewItem{newItem("msg_5")}, Remove: "msg_2"}
		wantStale(t, fmt.Sprintf("ChangeItems at version %d of 2", seen), s.ChangeItems(t.Context(), late))
	}
	wantStale(t, "a change that others followed", s.ChangeItems(t.Context(), add))
	if diff := cmp.Diff(before, dump(t, s)); diff != "" {
		t.Errorf("a refused change wrote (-before +after):\n%s", diff)
	}
	if got := spoken(t, s, id); got != "msg_2 msg_3 msg_4" {
		t.Errorf("the items are %s", got)
	}
	if err := s.DeleteConversation(t.Context(), testTenant, id); err != nil {
		t.Fatal(err)
	}
	remove.Seen = 2
	if err := s.ChangeItems(t.Context(), remove); !errors.Is(err, ErrNotFound) {
		t.Errorf("ChangeItems of a deleted conversation = %v, want ErrNotFound", err)
	}
}

func TestConversationState(t *testing.T) {
	t.Parallel()
	s := open(t)
	id := talk(t, s, 1)
	items := []NewItem{
		{ID: "fc_1", Calls: []byte("a\x00"), Data: []byte("1")},
		{ID: "fc_2", Calls: []byte("b"), Data: []byte("2")},
		{ID: "fco_1", Answers: []byte("a\x00"), Data: []byte("3")},
	}
	by := uuid.New()
	if err := s.ChangeItems(t.Context(), ItemsChange{ID: by, Tenant: testTenant, Conversation: id, Add: items}); err != nil {
		t.Fatal(err)
	}
	want := ConversationState{
		Version: 1, ChangedBy: by, Items: 4, Bytes: int64(len("data of msg_1") + 3), Present: []string{"msg_1", "fc_1"},
		Links: []ItemLink{{CallID: []byte("a\x00")}, {CallID: []byte("b")}, {CallID: []byte("a\x00"), Answer: true}},
	}
	got := state(t, s, id, "msg_1", "fc_1", "msg_2")
	if got.ID != id || got.Metadata == nil || got.CreatedAt.IsZero() {
		t.Errorf("the conversation is %+v", got.Conversation)
	}
	got.Conversation = Conversation{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFindItems(t *testing.T) {
	t.Parallel()
	s := open(t)
	rows := line(t, s, 2)
	hidden := inSettle(t, s, Completed, func(n *NewRequest) { n.Unstored = true })
	settle(t, s, hidden, Completed, false)
	queued := accepted(t, s)
	talk(t, s, 2)
	newest := NewConversation{ID: uuid.Must(uuid.NewV7()), Tenant: testTenant, Metadata: []byte(`{}`), Items: []NewItem{{ID: "msg_2", Data: []byte("newest")}}}
	if err := s.CreateConversation(t.Context(), newest); err != nil {
		t.Fatal(err)
	}
	refs := []ItemRef{
		{ID: "msg_1"},
		{ID: "msg_2", Request: rows[0].ID},
		{ID: "msg_3"},
		{ID: "a", Request: rows[0].ID},
		{ID: "b", Request: rows[0].ID, Answer: true},
		{ID: "c", Request: rows[0].ID, Answer: true},
		{ID: "d", Request: rows[1].ID, Answer: true},
		{ID: "e", Request: hidden.ID},
		{ID: "f", Request: hidden.ID, Answer: true},
		{ID: "g", Request: queued},
		{ID: "h", Request: queued, Answer: true},
		{ID: "i", Request: uuid.New()},
	}
	want := FoundItems{
		Items: map[string][]byte{"msg_1": []byte("data of msg_1"), "msg_2": []byte("newest")},
		Sources: map[Source][]byte{
			{Request: rows[0].ID}: []byte("body 0"), {Request: rows[0].ID, Answer: true}: []byte("answer 0"),
			{Request: rows[1].ID, Answer: true}: []byte("answer 1"), {Request: queued}: newRequest().Body,
		},
	}
	size := int64(len("data of msg_1newestbody 0answer 0answer 1") + len(newRequest().Body))
	got, err := s.FindItems(t.Context(), testTenant, refs, size)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := s.FindItems(t.Context(), testTenant, refs, size-1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("FindItems with a byte too little = %v, want ErrTooLarge", err)
	}
	if got, err := s.FindItems(t.Context(), testTenant, nil, 0); err != nil || len(got.Items)+len(got.Sources) != 0 {
		t.Errorf("FindItems of nothing = %v, %v", got, err)
	}
	if got, err := s.FindItems(t.Context(), "other", refs, size); err != nil || len(got.Items)+len(got.Sources) != 0 {
		t.Errorf("FindItems for another tenant = %v, %v", got, err)
	}
	if err := s.Delete(t.Context(), testTenant, rows[0].ID); err != nil {
		t.Fatal(err)
	}
	if got, err := s.FindItems(t.Context(), testTenant, refs[3:6], size); err != nil || len(got.Sources) != 0 {
		t.Errorf("FindItems of a deleted request = %v, %v", got, err)
	}
}
