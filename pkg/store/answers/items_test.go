package answers_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/pkg/store/conversations"
	"windlass.dev/windlass/pkg/store/runtest"
)

func TestFindItems(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	rows := runtest.Line(t, s, 2)
	hidden := runtest.InSettle(t, s, run.Completed, func(n *store.NewRequest) { n.Unstored = true })
	runtest.Settle(t, s, hidden, run.Completed, false)
	queued := runtest.Accepted(t, s)
	runtest.Conversation(t, s, 2)
	newest := conversations.NewConversation{ID: uuid.Must(uuid.NewV7()), Tenant: runtest.Tenant, Metadata: []byte(`{}`), Items: []run.NewItem{{ID: "msg_2", Data: []byte("newest")}}}
	if err := s.Conversations.Create(t.Context(), newest); err != nil {
		t.Fatal(err)
	}
	refs := []answers.ItemRef{
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
	want := answers.FoundItems{
		Items: map[string][]byte{"msg_1": []byte("data of msg_1"), "msg_2": []byte("newest")},
		Sources: map[answers.Source][]byte{
			{Request: rows[0].ID}: []byte("body 0"), {Request: rows[0].ID, Answer: true}: []byte("answer 0"),
			{Request: rows[1].ID, Answer: true}: []byte("answer 1"), {Request: queued}: runtest.NewRequest().Body,
		},
	}
	size := int64(len("data of msg_1newestbody 0answer 0answer 1") + len(runtest.NewRequest().Body))
	got, err := s.Answers.FindItems(t.Context(), runtest.Tenant, refs, size)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := s.Answers.FindItems(t.Context(), runtest.Tenant, refs, size-1); !errors.Is(err, answers.ErrTooLarge) {
		t.Errorf("FindItems with a byte too little = %v, want ErrTooLarge", err)
	}
	if got, err := s.Answers.FindItems(t.Context(), runtest.Tenant, nil, 0); err != nil || len(got.Items)+len(got.Sources) != 0 {
		t.Errorf("FindItems of nothing = %v, %v", got, err)
	}
	if got, err := s.Answers.FindItems(t.Context(), "other", refs, size); err != nil || len(got.Items)+len(got.Sources) != 0 {
		t.Errorf("FindItems for another tenant = %v, %v", got, err)
	}
	if err := s.Retention.Delete(t.Context(), runtest.Tenant, rows[0].ID); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Answers.FindItems(t.Context(), runtest.Tenant, refs[3:6], size); err != nil || len(got.Sources) != 0 {
		t.Errorf("FindItems of a deleted request = %v, %v", got, err)
	}
}
