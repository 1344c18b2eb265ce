package gateway

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap/zapcore"

	"windlass.dev/windlass/pkg/run"
)

// TestBadInputs is what bad input is answered, row by row: I1 to I27, and of
// those after it I46 to I48, as far as a gateway meets them. Each row's cases
// go through HTTP to a real database. What is checked of every one of them is
// in [inputs.check]; where an answer is not OpenAI's, the case says why.
//
//	go test -run 'TestBadInputs/I05' ./services/gateway
func TestBadInputs(t *testing.T) {
	t.Parallel()
	in := newInputs(t)
	for _, row := range []struct { //nolint:paralleltest // what one row leaves, the next must find
		name, input string
		run         func(*testing.T, *inputs)
	}{
		{"I01", "text that is not JSON", notJSON},
		{"I02", "deep nesting", deepNesting},
		{"I03", "huge bodies and texts", hugeBodies},
		{"I04", "invalid UTF-8, lone surrogates, a byte order mark", oddUnicode},
		{"I05", "U+0000", nulCharacters},
		{"I06", "bodies of another type or encoding", otherMedia},
		{"I07", "missing parameters", cases(missingParameters)},
		{"I08", "values of a wrong type", cases(wrongTypes)},
		{"I09", "unknown parameters", cases(unknownParameters)},
		{"I10", "values out of an enumeration", cases(wrongValues)},
		{"I11", "numbers out of their range", cases(numbersOutOfRange)},
		{"I12", "strings and objects that are too long", cases(tooLong)},
		{"I13", "arrays that are too long", cases(longArrays)},
		{"I14", "what the model does not support", cases(unsupportedByModel)},
		{"I15", "bad schemas", cases(badSchemas)},
		{"I16", "calls without outputs, outputs without calls", cases(unpairedCalls)},
		{"I17", "an unknown previous_response_id", unknownPrevious},
		{"I18", "a previous response that cannot be continued", cases(unfitPrevious)},
		{"I19", "references to items that are not there", cases(lostReferences)},
		{"I20", "parameters that exclude each other", cases(exclusiveParameters)},
		{"I21", "unknown ids of responses, and states that forbid", unknownResponses},
		{"I22", "starting_after", startingAfterCases},
		{"I23", "bad keys, and many of them", badKeys},
		{"I24", "over the limit", overTheLimit},
		{"I25", "Idempotency-Key", onceKeys},
		{"I26", "slow clients", slowClients},
		{"I27", "unknown types of tools", cases(unknownTools)},
		{"I46", "images", images},
		{"I47", "malformed ids", hostileIDs},
		{"I48", "frames of streams in texts", framesInTexts},
	} {
		t.Run(row.name, func(t *testing.T) { row.run(t, in) })
	}
	in.othersGoOn(t)
}

// bad is one request and what it has to be answered. In path, body and message,
// {name} stands for an id of [inputs.ids]. A status of 200 is of what is let in
// by decision.
type bad struct {
	name         string
	method, path string // POST /v1/responses if empty
	body         string
	header       http.Header // beside the usual ones; an empty list takes a header away

	status      int // 400 if zero
	param, code any // null on the wire if nil
	message     string
	kind        string   // the error's type: invalid_request_error if empty
	headers     []string // that the answer has to have, as "Name: value"

	echo string // of a 200: what its body contains
	why  string // why OpenAI's answer is another
}

const (
	create   = "/v1/responses"
	unknown  = "resp_00000000000070008000000000000000"
	unparsed = "We could not parse the JSON body of your request. "
	hint     = unparsed + "(HINT: "
	// quick is how long a refusal may take at most, on a machine that does
	// other things as well.
	quick = 5 * time.Second
)

// ask is a create that is refused: fields come behind a model and an input, and
// the last of a name counts.
func ask(name, fields string, param, code any, message string) bad {
	return bad{name: name, body: `{"model":"m","input":"x",` + fields + `}`, param: param, code: code, message: message}
}

// acceptCase is a create in the background that is accepted.
func acceptCase(name, fields, echo, why string) bad {
	return bad{name: name, body: `{"model":"m","input":"x","background":true,` + fields + `}`, status: http.StatusOK, echo: echo, why: why}
}

// inputs is the stand that the rows share, one after the other.
type inputs struct {
	*stand
	ids    map[string]string
	conn   *pgx.Conn
	before string // digest of all that the database holds
}

func newInputs(t *testing.T) *inputs {
	t.Helper()
	in := &inputs{stand: raise(t)}
	conn, err := pgx.Connect(t.Context(), in.database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	in.conn = conn
	ended := func(outcome run.Status, output string) string { return in.over(`"input":"x"`, outcome, output) }
	in.ids = map[string]string{
		"unknown": unknown, "malformed": "resp_1", "unstored": in.unstored(),
		"completed": ended(run.Completed, ""), "incomplete": ended(run.Incomplete, ""), "failed": ended(run.Failed, ""),
		"cancelled": ended(run.Cancelled, ""), "expired": ended(run.Cancelled, ""), "open": ended(run.Completed, call),
		"foreign": ended(run.Completed, ""), "foreground": ended(run.Completed, ""), "deleted": ended(run.Completed, ""),
	}
	in.ids["orphan"] = in.over(`"input":"x","previous_response_id":"`+in.ids["deleted"]+`"`, run.Completed, "")
	in.call("DELETE", create+"/"+in.ids["deleted"], "")
	in.move(in.ids["foreign"], `UPDATE requests SET tenant = 'other' WHERE id = $1`)
	in.move(in.ids["foreground"], `UPDATE requests SET background = false WHERE id = $1`)
	in.move(in.ids["expired"], `UPDATE requests SET status = 'expired' WHERE id = $1`)
	in.ids["running"] = in.background()
	in.claim()
	in.ids["queued"] = in.background()
	in.ids["conversation"] = createdID(t, in.call("POST", "/v1/conversations", `{"metadata":{"a":"b"}}`))
	in.before = in.everything()
	return in
}

// over is concluded, with nothing left to do for the finalizer.
func (s *stand) over(fields string, outcome run.Status, output string) string {
	s.tb.Helper()
	id := s.concluded(fields, outcome, output)
	if err := s.store.Finish(s.tb.Context(), s.lookPublic(id).ID); err != nil {
		s.tb.Fatal(err)
	}
	return id
}

// cases runs a table.
func cases(table func() []bad) func(*testing.T, *inputs) {
	return func(t *testing.T, in *inputs) { in.all(t, table()...) }
}

func (in *inputs) all(t *testing.T, table ...bad) {
	t.Helper()
	for _, b := range table {
		t.Run(b.name, func(t *testing.T) { in.check(t, b) })
	}
}

// check sends one bad request. Whatever it is, it is answered soon, with its
// own status and an envelope of four members, never with a 5xx; and a refusal
// leaves the database as it was.
func (in *inputs) check(t *testing.T, b bad) {
	t.Helper()
	began := time.Now()
	got := in.do(t, in.requestOf(t, b))
	if took := time.Since(began); took > quick {
		t.Errorf("it took %v, want %v at most", took, quick)
	}
	in.judge(t, b, got)
	if b.status == http.StatusOK && b.path == "" { // what was let in can be read, as often as one likes
		b.headers = nil
		in.judge(t, b, in.call("GET", create+"/"+createdID(t, got), ""))
	}
	now := in.everything()
	if got.status >= http.StatusBadRequest && now != in.before {
		t.Errorf("it was refused with %d and has changed the database", got.status)
	}
	in.before = now
}

// do is send for requests that may be let in by mistake, and would be waited
// for.
func (in *inputs) do(t *testing.T, r *http.Request) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), quick)
	defer cancel()
	resp, err := in.http.Do(r.WithContext(ctx))
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("half an answer: %v", err)
	}
	return reply{resp.StatusCode, resp.Header, body}
}

func (in *inputs) fill(text string) string {
	for name, id := range in.ids {
		text = strings.ReplaceAll(text, "{"+name+"}", id)
		text = strings.ReplaceAll(text, "{digits of "+name+"}", strings.TrimPrefix(id, idPrefix))
	}
	return text
}

func (in *inputs) requestOf(t *testing.T, b bad) *http.Request {
	t.Helper()
	r := in.request(t.Context(), cmp.Or(b.method, "POST"), in.fill(cmp.Or(b.path, create)), in.fill(b.body))
	for name, values := range b.header {
		r.Header[name] = values
		if len(values) == 0 {
			delete(r.Header, name)
		}
	}
	return r
}

// judge holds an answer against what the case wants.
func (in *inputs) judge(t *testing.T, b bad, got reply) {
	t.Helper()
	if got.header.Get("X-Request-Id") == "" || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("the answer lacks an id or its type: %v", got.header)
	}
	for _, want := range b.headers {
		name, value, _ := strings.Cut(want, ": ")
		if got.header.Get(name) != value {
			t.Errorf("the header %s is %q, want %q", name, got.header.Get(name), value)
		}
	}
	if b.status == http.StatusOK {
		if got.status != http.StatusOK || !strings.Contains(string(got.body), in.fill(b.echo)) {
			t.Errorf("answered %d %.500s, want 200 with %s (%s)", got.status, got.body, in.fill(b.echo), b.why)
		}
		return
	}
	f := got.fault(t)
	message, _ := f["message"].(string)
	status, kind := cmp.Or(b.status, http.StatusBadRequest), cmp.Or(b.kind, "invalid_request_error")
	if got.status != status || f["type"] != kind || f["code"] != b.code || f["param"] != b.param || len(f) != 4 ||
		message == "" || !strings.HasPrefix(message, in.fill(b.message)) {
		t.Errorf("answered %d %.500s\nwant %d, type %s, param %v, code %v, %q…", got.status, got.body, status, kind, b.param, b.code, in.fill(b.message))
	}
}

// everything is a digest of all rows of all tables.
func (in *inputs) everything() string {
	in.tb.Helper()
	ctx := context.WithoutCancel(in.tb.Context())
	rows, _ := in.conn.Query(ctx, `SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) == 0 {
		in.tb.Fatalf("list the tables: %v, %v", tables, err)
	}
	var parts []string
	for _, table := range tables {
		name := pgx.Identifier{table}.Sanitize()
		parts = append(parts, fmt.Sprintf(`(SELECT md5(coalesce(string_agg(md5(t::text), '' ORDER BY md5(t::text)), '')) FROM %s t)`, name))
	}
	var digest string
	if err := in.conn.QueryRow(ctx, "SELECT concat_ws(' ',"+strings.Join(parts, ",")+")").Scan(&digest); err != nil {
		in.tb.Fatalf("digest the database: %v", err)
	}
	return digest
}

// othersGoOn: after all that, what was in flight before it is still there and
// ends as always, and nothing was logged as an error.
func (in *inputs) othersGoOn(t *testing.T) {
	t.Helper()
	running := in.lookPublic(in.ids["running"])
	in.finish(running, run.Completed, `{"n":1}`)
	same(t, "the response that was in flight", in.call("GET", create+"/"+in.ids["running"], "").body, `{"n":1}`)
	if got := in.lookPublic(in.ids["queued"]).Status; got != run.Queued {
		t.Errorf("the response that was queued is %s", got)
	}
	for _, line := range in.logs.All() {
		if line.Level >= zapcore.ErrorLevel {
			t.Errorf("logged: %s %v", line.Message, line.ContextMap())
		}
	}
}

// bodies are the POSTs that take a body, each with one that it lets in. A route
// that takes more is added to onceBodies.
func (in *inputs) bodies() []bad {
	var all []bad
	for pattern, body := range onceBodies {
		if body != "" {
			path := strings.Replace(pattern, "{id}", in.ids["conversation"], 1)
			all = append(all, bad{name: pattern, path: path, body: body})
		}
	}
	slices.SortFunc(all, func(a, b bad) int { return cmp.Compare(a.name, b.name) })
	return all
}
