package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/storetest"
	"windlass.dev/windlass/services/gateway/internal/answer"
	"windlass.dev/windlass/services/gateway/internal/auth"
)

// keyed is a request with an Idempotency-Key.
func (s *stand) keyed(key, method, path, body string) *http.Request {
	s.tb.Helper()
	r := s.request(s.tb.Context(), method, path, body)
	r.Header.Set("Idempotency-Key", key)
	return r
}

func (s *stand) sendKeyed(key, path, body string) reply {
	s.tb.Helper()
	return s.send(s.keyed(key, "POST", path, body))
}

func wantReplayed(t *testing.T, what string, r reply, want bool) {
	t.Helper()
	if r.status != http.StatusOK || (r.header.Get("Idempotent-Replayed") == "true") != want {
		t.Errorf("%s answered %d %v %s, want 200, replayed: %v", what, r.status, r.header, r.body, want)
	}
}

const backgroundBody = `{"model":"m","input":"hi","background":true}`

func TestABackgroundRepeatIsAnsweredFromTheRow(t *testing.T) {
	t.Parallel()
	s := raise(t)
	first := s.sendKeyed("k", "/v1/responses", backgroundBody)
	wantReplayed(t, "the first", first, false)
	second := s.sendKeyed("k", "/v1/responses", backgroundBody)
	wantReplayed(t, "the second", second, true)
	if a, b := createdID(t, first), createdID(t, second); a != b || second.object(t)["status"] != "queued" {
		t.Errorf("the key stands for %s and then for %s %s", a, b, second.body)
	}
	s.finish(s.claim(), run.Completed, `{"n":1}`)
	third := s.sendKeyed("k", "/v1/responses", backgroundBody)
	wantReplayed(t, "the third", third, true)
	same(t, "the third answer", third.body, `{"n":1}`)
	if n := s.backlog(); n != 0 {
		t.Errorf("%d more requests are queued, want none", n)
	}
}

func TestForegroundRepeatsWaitForTheSameRow(t *testing.T) {
	t.Parallel()
	s := raise(t)
	for path, body := range map[string]string{"/v1/responses": foreground, chatPath: chatBody} {
		var answers []<-chan reply
		for range 8 {
			answers = append(answers, s.laterSend(s.keyed("k"+path, "POST", path, body)))
		}
		row := s.claim()
		answers = append(answers, s.laterSend(s.keyed("k"+path, "POST", path, body))) // while it runs
		eventually(t, "a waiter that came later", func() bool { return s.isTaken("k" + path) })
		if path == chatPath {
			s.end(row, run.TurnCommit{Output: []byte(`{"n":1}`), Outcome: run.Completed})
		} else {
			s.finish(row, run.Completed, `{"n":1}`)
			s.bus.DoneHint(run.Hex(row.ID))
		}
		fresh := 0
		for _, one := range answers {
			r := receive(t, one)
			same(t, "an answer", r.body, `{"n":1}`)
			if r.header.Get("Idempotent-Replayed") == "" {
				fresh++
			}
			if got := r.header.Get(answer.RequestHeader); path == chatPath && got != callPrefix+run.Hex(row.ID) {
				t.Errorf("the answer names request %q", got)
			}
		}
		if n := s.backlog(); n != 0 || fresh > 1 {
			t.Errorf("%s: %d answers as of a first use, %d requests still queued; want at most 1 and none", path, fresh, n)
		}
		late := s.sendKeyed("k"+path, path, body)
		wantReplayed(t, "a repeat after the end", late, true)
		same(t, "the late answer", late.body, `{"n":1}`)
	}
}

// isTaken reports whether the key is taken.
func (s *stand) isTaken(key string) bool {
	_, err := s.idempotency.Read(s.tb.Context(), auth.DefaultTenant, key)
	return err == nil
}

func TestAnUnstoredResponseIsRepeatedToo(t *testing.T) {
	t.Parallel()
	s := raise(t)
	const body = `{"model":"m","input":"hi","store":false}`
	answers := s.laterSend(s.keyed("k", "POST", "/v1/responses", body))
	row := s.claim()
	s.finish(row, run.Completed, `{"n":1}`)
	s.bus.DoneHint(run.Hex(row.ID))
	receive(t, answers)
	same(t, "the repeat", s.sendKeyed("k", "/v1/responses", body).body, `{"n":1}`)

	// A purge spares what a key may repeat.
	s.move(run.ResponseID.Format(row.ID), `UPDATE requests SET finished_at = now() - interval '1 day', live = false, check_at = NULL WHERE id = $1`)
	if gone, err := s.retention.Erase(t.Context(), time.Hour, 10); err != nil || len(gone) != 0 {
		t.Errorf("Erase = %v, %v, want nothing gone", gone, err)
	}
	same(t, "the repeat after a purge", s.sendKeyed("k", "/v1/responses", body).body, `{"n":1}`)

	// But a gateway of an earlier version did not say that there is a key.
	s.move(run.ResponseID.Format(row.ID), `UPDATE requests SET keyed = false WHERE id = $1`)
	if gone, err := s.retention.Erase(t.Context(), time.Hour, 10); err != nil || len(gone) != 1 {
		t.Errorf("Erase = %v, %v, want one gone", gone, err)
	}
	if r := s.sendKeyed("k", "/v1/responses", body); r.status != http.StatusNotFound {
		t.Errorf("the repeat of what was erased answered %d %s, want 404", r.status, r.body)
	}
}

func TestAKeyForAnotherRequestIsRefused(t *testing.T) {
	t.Parallel()
	s := raise(t)
	id := createdID(t, s.sendKeyed("k", "/v1/responses", backgroundBody))
	createdID(t, s.sendKeyed("l", "/v1/responses", backgroundBody))
	cancel := "/v1/responses/" + id + "/cancel"
	createdID(t, s.sendKeyed("c", cancel, ""))
	for name, r := range map[string]reply{
		"another body":              s.sendKeyed("k", "/v1/responses", `{"model":"m","input":"ho","background":true}`),
		"the same body with blanks": s.sendKeyed("k", "/v1/responses", " "+backgroundBody),
		"another path":              s.sendKeyed("k", chatPath, backgroundBody),
		"another query":             s.sendKeyed("k", "/v1/responses?beta=true", backgroundBody),
		"a cancel":                  s.sendKeyed("k", cancel, ""),
		"a create after a cancel":   s.sendKeyed("c", "/v1/responses", backgroundBody),
		"another cancel":            s.sendKeyed("c", strings.Replace(cancel, id[:10], "resp_00000", 1), ""),
	} {
		wantRefused(t, name, r, http.StatusUnprocessableEntity, "idempotency_key_reused")
		if r.header.Get("X-Should-Retry") != "false" || r.header.Get("Idempotent-Replayed") != "" {
			t.Errorf("%s: headers %v, want X-Should-Retry false", name, r.header)
		}
	}
	if n := s.backlog(); n != 1 {
		t.Errorf("%d queued, want the one that was not cancelled", n)
	}
}

func TestKeysThatAreNone(t *testing.T) {
	t.Parallel()
	s := raise(t)
	for name, keys := range map[string][]string{
		"empty": {""}, "two": {"a", "b"}, "too long": {strings.Repeat("k", 256)}, "a control character": {"a\tb"}, "not ASCII": {"schlüssel"},
	} {
		for _, path := range []string{"/v1/responses", chatPath, "/v1/responses/resp_1/cancel"} {
			r := s.request(t.Context(), "POST", path, backgroundBody)
			r.Header["Idempotency-Key"] = keys
			wantRefused(t, name+": "+path, s.send(r), http.StatusBadRequest, "invalid_idempotency_key")
		}
	}
	for _, key := range []string{strings.Repeat("k", 255), "a b", "'; --", "!~"} {
		createdID(t, s.sendKeyed(key, "/v1/responses", backgroundBody))
	}
	r := s.request(t.Context(), "GET", "/v1/models", "")
	r.Header["Idempotency-Key"] = []string{""}
	if got := s.send(r); got.status != http.StatusOK {
		t.Errorf("GET with an empty key answered %d, want 200: it is no POST", got.status)
	}
}

func TestTenantsKeysDoNotMeet(t *testing.T) {
	t.Parallel()
	s := raise(t)
	ids := map[string]bool{}
	for _, tenant := range []string{"a", "b", "a"} {
		key, _ := s.mint(tenant)
		r := s.keyed("k", "POST", "/v1/responses", backgroundBody)
		r.Header.Set("Authorization", "Bearer "+key)
		ids[createdID(t, s.send(r))] = true // two keys of one tenant do
	}
	if len(ids) != 2 || s.backlog() != 2 {
		t.Errorf("two tenants made %v, %d queued; want one each", ids, s.backlog())
	}
}

func TestRefusalsLeaveTheKeyUnused(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.BacklogMax = 1 })
	for name, body := range map[string]string{
		"no JSON": `{`, "no such model": `{"model":"x","input":"hi"}`, "no parent": `{"model":"m","input":"hi","previous_response_id":"resp_1"}`,
	} {
		if r := s.sendKeyed("k", "/v1/responses", body); r.status < 400 || r.status > 404 {
			t.Errorf("%s answered %d", name, r.status)
		}
	}
	s.background()
	if r := s.sendKeyed("k", "/v1/responses", backgroundBody); r.status != http.StatusTooManyRequests {
		t.Errorf("a full backlog answered %d, want 429", r.status)
	}
	if s.isTaken("k") {
		t.Error("a refusal used the key")
	}
	s.claim()
	eventually(t, "room in the queue", func() bool { return s.sendKeyed("k", "/v1/responses", backgroundBody).status == http.StatusOK })
	if r := s.sendKeyed("k", "/v1/responses", backgroundBody); r.status != http.StatusOK {
		t.Errorf("a repeat while the queue is full answered %d, want 200", r.status)
	}
}

func TestADeletedResponseIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	s := raise(t)
	id := createdID(t, s.sendKeyed("k", "/v1/responses", backgroundBody))
	s.finish(s.claim(), run.Completed, `{}`)
	s.call("DELETE", "/v1/responses/"+id, "")
	if r := s.sendKeyed("k", "/v1/responses", backgroundBody); r.status != http.StatusNotFound || s.backlog() != 0 {
		t.Errorf("a repeat of a deleted response answered %d %s, %d queued", r.status, r.body, s.backlog())
	}
}

func TestWhoeverHasAKeyMayHangUpAndComeAgain(t *testing.T) {
	t.Parallel()
	s := raise(t)
	for name, body := range map[string]string{"stored": foreground, "unstored": `{"model":"m","input":"hi","store":false}`} {
		ctx, hangUp := context.WithCancel(t.Context())
		r := s.request(ctx, "POST", "/v1/responses", body)
		r.Header.Set("Idempotency-Key", name)
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			if resp, err := s.http.Do(r); err == nil {
				_ = resp.Body.Close()
				t.Errorf("%s: answered %d, want nothing", name, resp.StatusCode)
			}
		}()
		row := s.claim()
		hangUp()
		<-gone
		eventually(t, "the end of the first exchange", func() bool { return s.logs.FilterField(zap.String("outcome", "499")).Len() > 0 })
		s.logs.TakeAll()
		again := s.laterSend(s.keyed(name, "POST", "/v1/responses", body))
		s.finish(row, run.Completed, `{"n":1}`)
		eventually(t, "the answer", func() bool {
			s.bus.DoneHint(run.Hex(row.ID))
			return len(again) == 1
		})
		same(t, name+": the repeat", receive(t, again).body, `{"n":1}`)
	}
}

func TestADrainAsksKeysToComeAgain(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t, migrate)
	at := func(c *Config) { c.Store.URL = url }
	s, other := raise(t, at), raise(t, at)
	const body = `{"model":"m","input":"hi","store":false}`
	answers := s.laterSend(s.keyed("k", "POST", "/v1/responses", body))
	row := s.claim()
	s.drain(process.ErrDraining)
	r := receive(t, answers)
	if r.status != http.StatusServiceUnavailable || r.header.Get("X-Should-Retry") != "true" || !strings.Contains(string(r.body), "same Idempotency-Key") {
		t.Errorf("a drain answered %d %v %s", r.status, r.header, r.body)
	}
	if got := s.look(row.ID).Status; got != run.InProgress {
		t.Errorf("the request is %s, want it to go on", got)
	}
	s.finish(row, run.Completed, `{"n":1}`)
	same(t, "the other gateway's answer", other.sendKeyed("k", "/v1/responses", body).body, `{"n":1}`)
}

func TestConcurrentRepeatsOverTwoGateways(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t, migrate)
	at := func(c *Config) { c.Store.URL = url }
	gateways := []*stand{raise(t, at), raise(t, at)}
	ids := make([]map[string]bool, 10)
	for round := range ids {
		ids[round] = map[string]bool{}
		var all []<-chan reply
		for i := range 12 {
			s := gateways[i%2]
			all = append(all, s.laterSend(s.keyed(fmt.Sprint(round), "POST", "/v1/responses", backgroundBody)))
		}
		fresh := 0
		for _, one := range all {
			r := receive(t, one)
			ids[round][createdID(t, r)] = true
			if r.header.Get("Idempotent-Replayed") == "" {
				fresh++
			}
		}
		if len(ids[round]) != 1 || fresh != 1 {
			t.Errorf("12 concurrent uses of a key: %d first ones made %v, want 1 and one response", fresh, ids[round])
		}
	}
	if n := gateways[0].backlog(); n != len(ids) {
		t.Errorf("%d queued, want %d", n, len(ids))
	}
}

// Every POST of the API, by its pattern, with a body that it takes. A route
// that is missing here fails the test below.
var onceBodies = map[string]string{
	"/v1/responses":                backgroundBody,
	"/v1/responses/compact":        `{"model":"m","input":"hi"}`,
	"/v1/responses/input_tokens":   `{"model":"m","input":"hi"}`,
	"/v1/responses/{id}/cancel":    "",
	"/v1/chat/completions":         chatBody,
	"/v1/completions":              `{"model":"m","prompt":"hi"}`,
	"/v1/embeddings":               `{"model":"m","input":"hi"}`,
	"/v1/conversations":            `{"items":[{"role":"user","content":"hi"}]}`,
	"/v1/conversations/{id}":       `{"metadata":{"a":"b"}}`,
	"/v1/conversations/{id}/items": `{"items":[{"role":"user","content":"ho"}]}`,
}

func TestEveryPOSTHappensOnceForAKey(t *testing.T) {
	t.Parallel()
	s := raise(t)
	talk := createdID(t, s.call("POST", "/v1/conversations", `{}`))
	for pattern, methods := range (&server{}).routes() {
		if methods[http.MethodPost] == nil {
			continue
		}
		body, ok := onceBodies[pattern]
		if !ok {
			t.Errorf("no body for POST %s", pattern)
			continue
		}
		path := strings.Replace(pattern, "{id}", talk, 1)
		if strings.HasPrefix(pattern, "/v1/responses/{id}") {
			path = strings.Replace(pattern, "{id}", s.background(), 1)
		}
		first := s.laterSend(s.keyed(pattern, "POST", path, body))
		if acceptsRequests(pattern) && body != backgroundBody {
			s.end(s.claim(), run.TurnCommit{Output: []byte(`{"n":1}`), Outcome: run.Completed})
		}
		one := receive(t, first)
		wantReplayed(t, pattern, one, false)
		again := s.sendKeyed(pattern, path, body)
		wantReplayed(t, pattern+" again", again, true)
		same(t, pattern+" again", again.body, string(one.body))
		if n := s.backlog(); n > 1 {
			t.Errorf("%s: %d queued", pattern, n)
		}
		if pattern == "/v1/responses" {
			s.claim()
		}
		wantRefused(t, pattern+" with another body", s.sendKeyed(pattern, path, body+" "), http.StatusUnprocessableEntity, "idempotency_key_reused")
	}
	items := s.call("GET", "/v1/conversations/"+talk+"/items", "").object(t)["data"].([]any)
	if len(items) != 1 {
		t.Errorf("the conversation has %v, want the one item that was added twice", items)
	}
}

func TestARepeatedStreamIsReplayed(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.PollInterval = 20 * time.Millisecond })
	for name, more := range map[string]string{"foreground": "", "background": `,"background":true`, "unstored": `,"store":false`} {
		body := `{"model":"m","input":"hi","stream":true` + more + `}`
		first := s.laterSend(s.keyed(name, "POST", "/v1/responses", body))
		row := s.claim()
		second := s.laterSend(s.keyed(name, "POST", "/v1/responses", body))
		s.finish(row, run.Completed, `{"id":"`+run.ResponseID.Format(row.ID)+`","status":"completed","output":[]}`)
		if err := s.store.Finish(t.Context(), row.ID); err != nil { // nothing is written live here
			t.Fatal(err)
		}
		s.bus.DoneHint(run.Hex(row.ID))
		one, two := receive(t, first), receive(t, second)
		if two.header.Get("Idempotent-Replayed") != "true" || !strings.HasPrefix(two.header.Get("Content-Type"), "text/event-stream") {
			t.Errorf("%s: the repeat answered %d %v %s", name, two.status, two.header, two.body)
		}
		three := s.sendKeyed(name, "/v1/responses", body)
		if events(one) != events(two) || events(one) != events(three) || !strings.Contains(events(one), "response.completed") {
			t.Errorf("%s: the streams are\n%s\nand\n%s\nand\n%s", name, one.body, two.body, three.body)
		}
	}
	if n := s.backlog(); n != 0 {
		t.Errorf("%d queued", n)
	}
}

// events are a stream's, without its comments.
func events(r reply) string {
	var out []string
	for line := range strings.Lines(string(r.body)) {
		if !strings.HasPrefix(line, ":") && strings.TrimSpace(line) != "" {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// Of two that come at once on one conversation, the second would find it locked
// by the first.
func TestConcurrentRepeatsOnAConversation(t *testing.T) {
	t.Parallel()
	s := raise(t)
	for round := range 10 {
		talk := createdID(t, s.call("POST", "/v1/conversations", `{}`))
		body := `{"model":"m","input":"hi","background":true,"conversation":"` + talk + `"}`
		var all []<-chan reply
		for range 6 {
			all = append(all, s.laterSend(s.keyed(fmt.Sprint(round), "POST", "/v1/responses", body)))
		}
		ids := map[string]bool{}
		for _, one := range all {
			ids[createdID(t, receive(t, one))] = true
		}
		if len(ids) != 1 {
			t.Errorf("6 uses of a key made %v", ids)
		}
	}
}
