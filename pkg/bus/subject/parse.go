package subject

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Parse parses a subject that this package built. The prefix is that of the
// bus's configuration.
func Parse(prefix, subject string) (Subject, error) {
	tail, ok := strings.CutPrefix(subject, prefix+".")
	if !ok {
		return Subject{}, fmt.Errorf("parse subject %q: prefix is not %q", subject, prefix)
	}
	tokens := strings.Split(tail, ".")
	for _, t := range tokens {
		if !IsToken(t) {
			return Subject{}, fmt.Errorf("parse subject %q: bad token %q", subject, t)
		}
	}
	s, err := parseTokens(tokens)
	if err != nil {
		return Subject{}, fmt.Errorf("parse subject %q: %w", subject, err)
	}
	return s, nil
}

var errShape = errors.New("no subject of this shape")

func parseTokens(t []string) (Subject, error) {
	s := Subject{Family: Family(t[0])}
	switch {
	case s.Family == FamilyTurn && len(t) == 4:
		s.Lane, s.RequestID = t[1], t[2]
		return s, parseNumbers(t[3], &s.Epoch, &s.Turn, &s.Attempt)
	case s.Family == FamilyTool && len(t) == 5:
		s.Pool, s.Tool, s.RequestID = t[1], t[2], t[3]
		return s, parseNumbers(t[4], &s.Epoch, &s.Turn, &s.Index, &s.Attempt)
	case s.Family == FamilyFinal && len(t) == 3:
		s.RequestID = t[1]
		return s, parseNumbers(t[2], &s.Epoch)
	case s.Family == FamilyStep && (len(t) == 4 || len(t) == 5):
		return parseStep(s, t[1:])
	case s.Family == FamilyMark && len(t) == 4:
		s.Pool, s.RequestID = t[1], t[2]
		return s, parseNumbers(t[3], &s.Epoch, &s.Turn, &s.Index, &s.Attempt)
	case (s.Family == FamilyDead || s.Family == FamilyLive) && len(t) == 2:
		s.RequestID = t[1]
		return s, nil
	}
	return s, errShape
}

// parseStep parses tenant, request and event. Earlier versions put the identity
// before the event.
func parseStep(s Subject, t []string) (Subject, error) {
	s.Tenant, s.RequestID, s.Event = t[0], t[1], t[len(t)-1]
	switch s.Event {
	case EventModelCompleted, EventModelFailed, EventToolStarted, EventToolCompleted, EventToolFailed, EventSettled:
	default:
		return s, errShape
	}
	if len(t) == 3 {
		return s, nil
	}
	s.Long = true
	return s, parseNumbers(t[2], &s.Epoch, &s.Turn, &s.Index, &s.Attempt)
}

// parseNumbers parses as many numbers as there are places, in the one spelling
// that formatNumbers writes.
func parseNumbers(text string, places ...*uint32) error {
	parts := strings.Split(text, "-")
	if len(parts) != len(places) {
		return errShape
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil || strconv.FormatUint(n, 10) != p {
			return fmt.Errorf("bad number %q", p)
		}
		*places[i] = uint32(n)
	}
	return nil
}
