package store

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/store/postgres"
)

// listed is a response as the tests of lists know it.
type listed struct {
	id       uuid.UUID
	tenant   string
	model    string
	status   Status
	metadata map[string]string
	parent   uuid.UUID
}

var someParents = []uuid.UUID{uuid.New(), uuid.New()}

var everyStatus = []Status{Queued, InProgress, Completed, Incomplete, Failed, Cancelled, Expired}

// addListed writes one that is drawn at random: few models and labels, so that many match.
func addListed(t *testing.T, s *Store, r *rand.Rand) listed {
	t.Helper()
	l := listed{
		tenant: []string{testTenant, "other"}[r.IntN(2)], model: []string{"m", "n"}[r.IntN(2)], status: everyStatus[r.IntN(len(everyStatus))],
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
	row := claimed(t, s, func(n *NewRequest) {
		n.Tenant, n.Model, n.Metadata, n.Parent, n.Body = l.tenant, l.model, l.metadata, l.parent, []byte(n.ID.String())
	})
	l.id = row.ID
	switch l.status {
	case Queued:
		exec(t, s, `UPDATE requests SET status = 'queued', live = false, check_at = NULL WHERE id = $1`, l.id)
	case InProgress:
	default:
		exec(t, s, `UPDATE requests SET status = $2, finished_at = now(), live = false, check_at = NULL WHERE id = $1`, l.id, string(l.status))
	}
	return l
}

func (q ListQuery) matches(l listed) bool {
	for key, value := range q.Metadata {
		if got, ok := l.metadata[key]; !ok || got != value {
			return false
		}
	}
	return l.tenant == q.Tenant && (q.Parent == uuid.Nil || l.parent == q.Parent) && (q.Model == "" || l.model == q.Model) &&
		(len(q.Statuses) == 0 || slices.Contains(q.Statuses, l.status)) &&
		compareIDs(l.id, q.Above) > 0 && compareIDs(l.id, q.Below) < 0
}

// among is what the query finds among all, in its order.
func (q ListQuery) among(all []listed) []uuid.UUID {
	ids := postgres.Column(slices.DeleteFunc(slices.Clone(all), func(l listed) bool { return !q.matches(l) }), func(l listed) uuid.UUID { return l.id })
	slices.SortFunc(ids, func(a, b uuid.UUID) int {
		if q.NewestFirst {
			a, b = b, a
		}
		return compareIDs(a, b)
	})
	return ids
}

// randomQuery has any of the filters, and any bounds.
func randomQuery(r *rand.Rand, all []listed) ListQuery {
	q := ListQuery{Tenant: []string{testTenant, "other", "nobody"}[r.IntN(3)], Below: uuid.Max, NewestFirst: r.IntN(2) == 0, Limit: 1 + r.IntN(7), Bytes: 1 << 20}
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
func pages(t *testing.T, q ListQuery, read func(ListQuery) (Listing, error), between func()) []uuid.UUID {
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
		ids = append(ids, postgres.Column(l.Answers, func(a *Answer) uuid.UUID { return a.ID })...)
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

// Whatever the filters: all pages together are what matches, once, in order, though others come meanwhile.
func TestListsWalkEverythingThatMatches(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := rand.New(rand.NewPCG(7, 0))
	var all []listed
	for range 120 {
		all = append(all, addListed(t, s, r))
	}
	found := 0
	for range 150 {
		q := randomQuery(r, all)
		before := q.among(all)
		more := 2
		got := pages(t, q, func(q ListQuery) (Listing, error) { return s.List(t.Context(), q) }, func() {
			if more--; more >= 0 {
				all = append(all, addListed(t, s, r))
			}
		})
		want := before
		if !q.NewestFirst { // the new ones are at the end of the walk
			want = q.among(all)
		}
		if found += len(want); !slices.Equal(want, got) {
			t.Fatalf("%+v (-want +got):\n%s", q, cmp.Diff(want, got))
		}
	}
	if found < 500 {
		t.Errorf("the lists had %d entries in all, which proves little", found)
	}
}

// A page that has to look through too much ends early, and says from where to go on.
func TestListsLookThroughABoundedNumber(t *testing.T) {
	t.Parallel()
	s := open(t)
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
		got := pages(t, q, func(q ListQuery) (Listing, error) {
			a := q.args()
			source, err := s.listSource(t.Context(), q, a)
			if err != nil {
				return Listing{}, err
			}
			a["budget"] = 3
			l, err := s.listFrom(t.Context(), source, q, a)
			if l.More && len(l.Answers) < q.Limit {
				short++
			}
			return l, err
		}, func() {})
		if want := q.among(all); !slices.Equal(want, got) {
			t.Fatalf("%+v (-want +got):\n%s", q, cmp.Diff(want, got))
		}
	}
	if short == 0 {
		t.Error("no page ended early")
	}
}

func TestListedAnswers(t *testing.T) {
	t.Parallel()
	s := open(t)
	queued := accepted(t, s, func(n *NewRequest) { n.Background = true })
	done := inSettle(t, s, Completed)
	if err := s.Settle(t.Context(), Settlement{ID: done.ID, Epoch: done.Epoch, Status: Completed, Answer: []byte("answer")}); err != nil {
		t.Fatal(err)
	}
	cancelled := settled(t, s, Cancelled, true)
	accepted(t, s, func(n *NewRequest) { n.Unstored, n.Metadata = true, map[string]string{"a": "1"} })
	accepted(t, s, func(n *NewRequest) { n.Endpoint, n.Metadata = "chat/completions", map[string]string{"a": "1"} })

	l, err := s.List(t.Context(), ListQuery{Tenant: testTenant, Below: uuid.Max, Limit: 20, Bytes: 1 << 20})
	if err != nil || l.More || len(l.Answers) != 3 {
		t.Fatalf("List = %+v, %v; want three answers and no more", l, err)
	}
	for i, id := range []uuid.UUID{queued, done.ID, cancelled.ID} {
		want, err := s.Answer(t.Context(), testTenant, id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, l.Answers[i]); diff != "" {
			t.Errorf("answer %d is not the one that is read by its id (-read +listed):\n%s", i, diff)
		}
	}
	labelled, err := s.List(t.Context(), ListQuery{Tenant: testTenant, Metadata: map[string]string{"a": "1"}, Below: uuid.Max, Limit: 20, Bytes: 1 << 20})
	if err != nil || labelled.More || len(labelled.Answers) != 0 {
		t.Errorf("what is not stored, or no response, is listed by its metadata: %+v, %v", labelled, err)
	}
	if n := ask[int](t, s, `SELECT count(*) FROM labels`)[0]; n != 0 {
		t.Errorf("%d labels are kept of what lists do not show", n)
	}
}

// A page ends before it gets too large, but has one answer at least.
func TestListsAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	s := open(t)
	var want []uuid.UUID
	for i := range 8 {
		size := 1000 * (i%3 + 1)
		if i == 4 {
			size = 20_000
		}
		want = append(want, accepted(t, s, func(n *NewRequest) { n.Body = make([]byte, size) }))
	}
	turned := 0
	got := pages(t, ListQuery{Tenant: testTenant, Below: uuid.Max, Limit: 5, Bytes: 4000}, func(q ListQuery) (Listing, error) {
		l, err := s.List(t.Context(), q)
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

// Pairs that look alike when they are written one behind the other have different labels.
func TestLabels(t *testing.T) {
	t.Parallel()
	seen := map[uuid.UUID][3]string{}
	for _, p := range [][3]string{
		{"t", "k", "v"}, {"t", "kv", ""}, {"t", "", "kv"}, {"tk", "", "v"}, {"", "t", "kv"}, {"t", "k\x00", "v"}, {"t", "k", "\x00v"},
	} {
		name := label(p[:]...)
		if twin, taken := seen[name]; taken {
			t.Errorf("%q and %q have the label %s", p, twin, name)
		}
		seen[name] = p
	}
	parent := uuid.MustParse("00000000-0000-4000-8000-000000000001")
	for name := range labelsByName(parent) {
		if _, taken := seen[name]; taken {
			t.Errorf("what a response continues has the label of a pair, %s", name)
		}
	}
	if n := len(labelsByName(parent)); n != 3 {
		t.Errorf("a pair, a parent and a conversation have %d labels, want 3", n)
	}
	if got := label("t", "k", "v").String(); got != "14411d18-c0af-2d9b-d1f8-0eeebb909197" { // rows have it
		t.Errorf("a label is %s, which is not what it was", got)
	}
}

// labelsByName are those of a response with a pair that looks like what it continues.
func labelsByName(id uuid.UUID) map[uuid.UUID]bool {
	names := map[uuid.UUID]bool{}
	for _, name := range labels("t", map[string]string{"previous": id.String()}, id, id) {
		names[name] = true
	}
	return names
}

// A conversation finds its responses, and no others.
func TestListOfAConversation(t *testing.T) {
	t.Parallel()
	s := open(t)
	conversation := talk(t, s, 1)
	want := accepted(t, s, on(conversation, 0))
	accepted(t, s)
	accepted(t, s, func(n *NewRequest) { n.Parent = conversation })
	l, err := s.List(t.Context(), ListQuery{Tenant: testTenant, Conversation: conversation, Below: uuid.Max, Limit: 20, Bytes: 1 << 20})
	if err != nil || len(l.Answers) != 1 || l.Answers[0].ID != want || l.More {
		t.Errorf("List = %+v, %v; want only %s", l, err, want)
	}
}
