package looporchestrator

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/postgres"
)

// sql changes the schema as a bug or an operator would.
func (s *stand) sql(t *testing.T, text string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

// raises is a trigger that fails the update of a step with a code, the first n
// times or always.
func raises(code, when string) string {
	return `CREATE SEQUENCE tries; CREATE FUNCTION bug() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF ` + when + ` THEN RAISE SQLSTATE '` + code + `'; END IF; RETURN NEW; END $$;
		CREATE TRIGGER bug BEFORE UPDATE ON steps FOR EACH ROW EXECUTE FUNCTION bug()`
}

// If the database refuses to record a step with an error that is not transient,
// the request fails at once, with the code. The step is not retried, and no
// crash is counted.
func TestUnknownErrorFailsTheStep(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, break_, code string }{
		{"check violation", `ALTER TABLE steps ADD CONSTRAINT bug CHECK (state <> 'done')`, "23514"},
		{"raised by a trigger", raises("22P05", "NEW.state = 'done'"), "22P05"},
		{"privilege", raises("42501", "NEW.state = 'done'"), "42501"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			row := s.claimed(t)
			s.sql(t, tt.break_)
			if err := s.deliver(t.Context(), row, 1, false); err != nil {
				t.Fatalf("the turn ended with %v, want it to be handled", err)
			}
			got := s.look(t, row.ID)
			if got.Outcome != run.Failed || got.Reason != "server_error" || got.Crashes != 0 || s.calls.Load() != 1 {
				t.Errorf("the row is %+v after %d calls, want it failed after one", got, s.calls.Load())
			}
			steps, err := s.Store.Steps(t.Context(), row.Tenant, row.ID)
			if err != nil || len(steps) != 1 || !strings.Contains(string(steps[0].Error), "SQLSTATE "+tt.code) {
				t.Errorf("the steps are %+v, %v, want one whose error names %s", steps, err, tt.code)
			}
		})
	}
}

// Transient errors are retried in place: the model is called once.
func TestTransientErrorIsRepeatedInPlace(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"40001", "40P01", "53100", "57014", "25006"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			row := s.claimed(t)
			s.sql(t, raises(code, "nextval('tries') < 4"))
			if err := s.deliver(t.Context(), row, 1, false); err != nil {
				t.Fatal(err)
			}
			if got := s.look(t, row.ID); got.Outcome != run.Completed || s.calls.Load() != 1 {
				t.Errorf("the row is %+v after %d calls, want it completed after one", got, s.calls.Load())
			}
		})
	}
}

// A result that the database refuses to record becomes a failed call, which the
// model sees; its neighbour in the batch is recorded as it is.
func TestUnknownErrorFailsOneResult(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	bad, good := s.inTools(t, "plain"), s.inTools(t, "plain")
	s.sql(t, raises("23514", "convert_from(NEW.output, 'UTF8') = 'poison'"))
	e := resultOf(s.question(bad))
	e.GetToolCompleted().Output = []byte("poison")
	batch := []consume.Delivery{{Event: e, Delivered: 1}, {Event: resultOf(s.question(good)), Delivered: 1}}
	if err := errors.Join(s.results.Handle(t.Context(), batch)...); err != nil {
		t.Fatalf("the batch ended with %v, want it to be handled", err)
	}
	for row, want := range map[*run.Row]string{&bad: "SQLSTATE 23514", &good: "fine"} {
		steps, err := s.Store.Steps(t.Context(), row.Tenant, row.ID)
		if err != nil {
			t.Fatal(err)
		}
		got := string(steps[1].Output) + string(steps[1].Error)
		if !strings.Contains(got, want) || strings.Contains(got, "poison") {
			t.Errorf("the call's record is %q, want %q in it", got, want)
		}
	}
}

// If the failure cannot be recorded either, the handler returns the cause.
func TestUnrecordableErrorIsReturned(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	row := s.claimed(t)
	s.sql(t, raises("42703", "true"))
	if err := s.deliver(t.Context(), row, 1, false); postgres.Reason(err) != "the database answered SQLSTATE 42703" {
		t.Errorf("the turn ended with %v, want the cause", err)
	}
}
