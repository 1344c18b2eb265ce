package answers_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
)

// listed is a response as the tests of lists know it.
type listed struct {
	id       uuid.UUID
	tenant   string
	model    string
	status   run.Status
	metadata map[string]string
	parent   uuid.UUID
}

var someParents = []uuid.UUID{uuid.New(), uuid.New()}

var everyStatus = []run.Status{run.Queued, run.InProgress, run.Completed, run.Incomplete, run.Failed, run.Cancelled, run.Expired}

// addListed writes one that is drawn at random: few models and labels, so that
// many match.
func addListed(t *testing.T, s *runtest.World, r *rand.Rand) listed {
	t.Helper()
	l := listed{
		tenant: []string{runtest.Tenant, "other"}[r.IntN(2)], model: []string{"m", "n"}[r.IntN(2)], status: everyStatus[r.IntN(len(everyStatus))],
		metadata: map[string]string{},
	}
	if r.IntN(3) == 0 {
		l.parent = someParents[r.IntN(len(someParents))]
	}
	for _, key := range []string{"a", "b\x00c"} {
		if r.IntN(3) > 0 {
			l.metadata[key] = []string{"1", "\x00"}[r.IntN(2)]
		}
	}
	row := runtest.Claimed(t, s, func(n *store.NewRequest) {
		n.Tenant, n.Model, n.Metadata, n.Parent, n.Body = l.tenant, l.model, l.metadata, l.parent, []byte(n.ID.String())
	})
	l.id = row.ID
	switch l.status {
	case run.Queued:
		runtest.Exec(t, s, `UPDATE requests SET status = 'queued', live = false, check_at = NULL WHERE id = $1`, l.id)
	case run.InProgress:
	default:
		runtest.Exec(t, s, `UPDATE requests SET status = $2, finished_at = now(), live = false, check_at = NULL WHERE id = $1`, l.id, string(l.status))
	}
	return l
}

func matchesQuery(q answers.Query, l listed) bool {
	for key, value := range q.Metadata {
		if got, ok := l.metadata[key]; !ok || got != value {
			return false
		}
	}
	return l.tenant == q.Tenant && (q.Parent == uuid.Nil || l.parent == q.Parent) && (q.Model == "" || l.model == q.Model) &&
		(len(q.Statuses) == 0 || slices.Contains(q.Statuses, l.status)) &&
		bytes.Compare(l.id[:], q.Above[:]) > 0 && bytes.Compare(l.id[:], q.Below[:]) < 0
}

// matching returns what the query finds, in its order.
func matching(q answers.Query, all []listed) []uuid.UUID {
	ids := postgres.Column(slices.DeleteFunc(slices.Clone(all), func(l listed) bool { return !matchesQuery(q, l) }), func(l listed) uuid.UUID { return l.id })
	slices.SortFunc(ids, func(a, b uuid.UUID) int {
		if q.NewestFirst {
			a, b = b, a
		}
		return bytes.Compare(a[:], b[:])
	})
	return ids
}

// randomQuery has any of the filters, and any bounds.
func randomQuery(r *rand.Rand, all []listed) answers.Query {
	q := answers.Query{Tenant: []string{runtest.Tenant, "other", "third"}[r.IntN(3)], Below: uuid.Max, NewestFirst: r.IntN(2) == 0, Limit: 1 + r.IntN(7), Bytes: 1 << 20}
	if r.IntN(2) == 0 {
		q.Model = []string{"m", "n", "x"}[r.IntN(3)]
	}
	for range r.IntN(3) {
		q.Statuses = append(q.Statuses, everyStatus[r.IntN(len(everyStatus))])
	}
	slices.Sort(q.Statuses)
	q.Statuses = slices.Compact(q.Statuses)
	for _, pair := range [][2]string{{"a", "1"}, {"a", "\x00"}, {"b\x00c", "1"}, {"z", "1"}} {
		if r.IntN(4) == 0 {
			if q.Metadata == nil {
				q.Metadata = map[string]string{}
			}
			q.Metadata[pair[0]] = pair[1]
		}
	}
	if r.IntN(5) == 0 {
		q.Parent = someParents[r.IntN(len(someParents))]
	}
	if r.IntN(3) == 0 {
		q.Above = all[r.IntN(len(all))].id
	}
	if r.IntN(3) == 0 {
		q.Below = all[r.IntN(len(all))].id
	}
	return q
}

// pages reads all pages, and calls between two of them.
func pages(t *testing.T, q answers.Query, read func(answers.Query) (answers.Listing, error), between func()) []uuid.UUID {
	t.Helper()
	var ids []uuid.UUID
	for range 1000 {
		l, err := read(q)
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Answers) > q.Limit {
			t.Fatalf("a page has %d answers, want %d at most", len(l.Answers), q.Limit)
		}
		ids = append(ids, postgres.Column(l.Answers, func(a *answers.Answer) uuid.UUID { return a.ID })...)
		if !l.More {
			return ids
		}
		if q.NewestFirst {
			q.Below = l.Next
		} else {
			q.Above = l.Next
		}
		between()
	}
	t.Fatal("the list has no end")
	return nil
}

// Whatever the filters: all pages together are what matches, once, in order,
// though others come meanwhile.
func TestListsWalkEverythingThatMatches(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := rand.New(rand.NewPCG(7, 0))
	var all []listed
	for range 120 {
		all = append(all, addListed(t, s, r))
	}
	found := 0
	for range 150 {
		q := randomQuery(r, all)
		before := matching(q, all)
		more := 2
		got := pages(t, q, func(q answers.Query) (answers.Listing, error) { return s.Answers.List(t.Context(), q) }, func() {
			if more--; more >= 0 {
				all = append(all, addListed(t, s, r))
			}
		})
		want := before
		if !q.NewestFirst { // the new ones are at the end of the walk
			want = matching(q, all)
		}
		if found += len(want); !slices.Equal(want, got) {
			t.Fatalf("%+v (-want +got):\n%s", q, cmp.Diff(want, got))
		}
	}
	if found < 500 {
		t.Errorf("the lists had %d entries in all, which proves little", found)
	}
}

// A page that has to look through too much ends early, and says from where to
// go on.
func TestListsLookThroughABoundedNumber(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := rand.New(rand.NewPCG(8, 0))
	var all []listed
	for range 80 {
		all = append(all, addListed(t, s, r))
	}
	short := 0
	for range 100 {
		q := randomQuery(r, all)
		if len(q.Metadata) == 0 {
			q.Metadata = map[string]string{"a": "1"}
		}
		got := pages(t, q, func(q answers.Query) (answers.Listing, error) {
			l, err := s.Answers.ListWithBudget(t.Context(), q, 3)
			if l.More && len(l.Answers) < q.Limit {
				short++
			}
			return l, err
		}, func() {})
		if want := matching(q, all); !slices.Equal(want, got) {
			t.Fatalf("%+v (-want +got):\n%s", q, cmp.Diff(want, got))
		}
	}
	if short == 0 {
		t.Error("no page ended early")
	}
}

func TestListedAnswers(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	queued := runtest.Accepted(t, s, func(n *store.NewRequest) { n.Background = true })
	done := runtest.InSettle(t, s, run.Completed)
	if err := s.Settle(t.Context(), store.Settlement{ID: done.ID, Epoch: done.Epoch, Status: run.Completed, Answer: []byte("answer")}); err != nil {
		t.Fatal(err)
	}
	cancelled := runtest.Settled(t, s, run.Cancelled, true)
	runtest.Accepted(t, s, func(n *store.NewRequest) { n.Unstored, n.Metadata = true, map[string]string{"a": "1"} })
	runtest.Accepted(t, s, func(n *store.NewRequest) { n.Endpoint, n.Metadata = "chat/completions", map[string]string{"a": "1"} })

	l, err := s.Answers.List(t.Context(), answers.Query{Tenant: runtest.Tenant, Below: uuid.Max, Limit: 20, Bytes: 1 << 20})
	if err != nil || l.More || len(l.Answers) != 3 {
		t.Fatalf("List = %+v, %v; want three answers and no more", l, err)
	}
	for i, id := range []uuid.UUID{queued, done.ID, cancelled.ID} {
		want, err := s.Answers.Read(t.Context(), runtest.Tenant, id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, l.Answers[i]); diff != "" {
			t.Errorf("answer %d is not the one that is read by its id (-read +listed):\n%s", i, diff)
		}
	}
	labelled, err := s.Answers.List(t.Context(), answers.Query{Tenant: runtest.Tenant, Metadata: map[string]string{"a": "1"}, Below: uuid.Max, Limit: 20, Bytes: 1 << 20})
	if err != nil || labelled.More || len(labelled.Answers) != 0 {
		t.Errorf("what is not stored, or no response, is listed by its metadata: %+v, %v", labelled, err)
	}
	if n := runtest.Ask[int](t, s, `SELECT count(*) FROM labels`)[0]; n != 0 {
		t.Errorf("%d labels are kept of what lists do not show", n)
	}
}

// A page ends before it gets too large, but has one answer at least.
func TestListsAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	var want []uuid.UUID
	for i := range 8 {
		size := 1000 * (i%3 + 1)
		if i == 4 {
			size = 20_000
		}
		want = append(want, runtest.Accepted(t, s, func(n *store.NewRequest) { n.Body = make([]byte, size) }))
	}
	turned := 0
	got := pages(t, answers.Query{Tenant: runtest.Tenant, Below: uuid.Max, Limit: 5, Bytes: 4000}, func(q answers.Query) (answers.Listing, error) {
		l, err := s.Answers.List(t.Context(), q)
		bytes := 0
		for _, a := range l.Answers {
			bytes += len(a.Body)
		}
		if bytes > 4000 && len(l.Answers) > 1 {
			t.Errorf("a page of %d answers has %d bytes", len(l.Answers), bytes)
		}
		return l, err
	}, func() { turned++ })
	if !slices.Equal(want, got) || turned < 4 {
		t.Errorf("%d pages (-want +got):\n%s", turned+1, cmp.Diff(want, got))
	}
}

// A conversation finds its responses, and no others.
func TestListOfAConversation(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	conversation := runtest.Conversation(t, s, 1)
	want := runtest.Accepted(t, s, runtest.On(conversation, 0))
	runtest.Accepted(t, s)
	runtest.Accepted(t, s, func(n *store.NewRequest) { n.Parent = conversation })
	l, err := s.Answers.List(t.Context(), answers.Query{Tenant: runtest.Tenant, Conversation: conversation, Below: uuid.Max, Limit: 20, Bytes: 1 << 20})
	if err != nil || len(l.Answers) != 1 || l.Answers[0].ID != want || l.More {
		t.Errorf("List = %+v, %v; want only %s", l, err, want)
	}
}
