package bus

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

const (
	// maxToken bounds a subject token; longer names are cut and carry a hash.
	maxToken = 100
	// hashDigits of a name's SHA-256 follow a name that had to be changed.
	hashDigits = 6
)

// Family is the second token of a subject: which kind of message it carries.
type Family string

// The families of subjects.
const (
	FamilyTurn  Family = "turn"
	FamilyTool  Family = "tool"
	FamilyFinal Family = "final"
	FamilyStep  Family = "step"
	FamilyMark  Family = "mark"
	FamilyLive  Family = "live"
	FamilyDead  Family = "dead"
)

// Subject is a subject taken apart. Its names are tokens: as they stand in the
// subject, not as they were given. Fields that the family does not have are
// zero. A step's subject has no numbers: its identity is in the message and
// in a header, because the server keeps about 440 B of memory for each subject
// of a stream.
type Subject struct {
	Family                      Family
	Lane                        string
	Pool, Tool                  string
	Tenant                      string
	RequestID                   string
	Epoch, Turn, Index, Attempt uint32
	Event                       string // model_completed, model_failed, tool_started, tool_completed, tool_failed or settled
	// Long is the form of a step's subject in earlier versions, with the
	// identity before the event.
	Long bool
}

// tail is the subject without the prefix.
func (s Subject) tail() string {
	switch s.Family {
	case FamilyTurn:
		return join("turn", s.Lane, s.RequestID, numbers(s.Epoch, s.Turn, s.Attempt))
	case FamilyTool:
		return join("tool", s.Pool, s.Tool, s.RequestID, s.identity())
	case FamilyFinal:
		return join("final", s.RequestID, numbers(s.Epoch))
	case FamilyStep:
		if s.Long {
			return join("step", s.Tenant, s.RequestID, s.identity(), s.Event)
		}
		return join("step", s.Tenant, s.RequestID, s.Event)
	case FamilyMark:
		return join("mark", s.Pool, s.RequestID, s.identity())
	default:
		return join(string(s.Family), s.RequestID)
	}
}

// stream is the name, after the prefix, of the stream that stores the subject.
func (s Subject) stream() string { return strings.ToUpper(string(s.Family)) }

// identity is the last token of a tool command's subject, and of its mark's.
func (s Subject) identity() string { return numbers(s.Epoch, s.Turn, s.Index, s.Attempt) }

func turnSubject(c *stepv1.TurnCommand) Subject {
	id := c.GetIdentity()
	return Subject{
		Family: FamilyTurn, Lane: token(c.GetLane()), RequestID: token(id.GetRequestId()),
		Epoch: id.GetEpoch(), Turn: id.GetTurn(), Attempt: id.GetAttempt(),
	}
}

func toolSubject(c *stepv1.ToolCommand) Subject {
	id := c.GetIdentity()
	return Subject{
		Family: FamilyTool, Pool: token(c.GetPool()), Tool: token(c.GetTool()), RequestID: token(id.GetRequestId()),
		Epoch: id.GetEpoch(), Turn: id.GetTurn(), Index: id.GetIndex(), Attempt: id.GetAttempt(),
	}
}

func finalSubject(c *stepv1.FinalCommand) Subject {
	return Subject{Family: FamilyFinal, RequestID: token(c.GetRequestId()), Epoch: c.GetEpoch()}
}

func stepSubject(tenant string, id *stepv1.StepIdentity, event string) Subject {
	return Subject{
		Family: FamilyStep, Tenant: token(tenant), RequestID: token(id.GetRequestId()),
		Epoch: id.GetEpoch(), Turn: id.GetTurn(), Index: id.GetIndex(), Attempt: id.GetAttempt(), Event: event,
	}
}

func markSubject(pool string, id *stepv1.StepIdentity) Subject {
	return Subject{
		Family: FamilyMark, Pool: token(pool), RequestID: token(id.GetRequestId()),
		Epoch: id.GetEpoch(), Turn: id.GetTurn(), Index: id.GetIndex(), Attempt: id.GetAttempt(),
	}
}

func liveSubject(requestID string) Subject {
	return Subject{Family: FamilyLive, RequestID: token(requestID)}
}

// tailSubject is what a live subject is republished to.
func tailSubject(requestID string) string { return join("tail", token(requestID)) }

func deadSubject(requestID string) Subject {
	return Subject{Family: FamilyDead, RequestID: token(requestID)}
}

// The events of a step, the last token of its subject.
const (
	eventModelCompleted = "model_completed"
	eventModelFailed    = "model_failed"
	eventToolStarted    = "tool_started"
	eventToolCompleted  = "tool_completed"
	eventToolFailed     = "tool_failed"
	eventSettled        = "settled"
)

// eventName is the last token of an event's subject, empty when the event says nothing.
func eventName(e *stepv1.StepEvent) string {
	switch e.GetEvent().(type) {
	case *stepv1.StepEvent_ModelCompleted:
		return eventModelCompleted
	case *stepv1.StepEvent_ModelFailed:
		return eventModelFailed
	case *stepv1.StepEvent_ToolStarted:
		return eventToolStarted
	case *stepv1.StepEvent_ToolCompleted:
		return eventToolCompleted
	case *stepv1.StepEvent_ToolFailed:
		return eventToolFailed
	case *stepv1.StepEvent_RequestSettled:
		return eventSettled
	default:
		return ""
	}
}

// ParseSubject takes a subject of this package apart. The prefix is Config.Prefix.
func ParseSubject(prefix, subject string) (Subject, error) {
	tail, ok := strings.CutPrefix(subject, prefix+".")
	if !ok {
		return Subject{}, fmt.Errorf("parse subject %q: prefix is not %q", subject, prefix)
	}
	tokens := strings.Split(tail, ".")
	for _, t := range tokens {
		if !isToken(t) {
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

// parseStep reads tenant, request and event. Earlier versions put the identity
// before the event.
func parseStep(s Subject, t []string) (Subject, error) {
	s.Tenant, s.RequestID, s.Event = t[0], t[1], t[len(t)-1]
	switch s.Event {
	case eventModelCompleted, eventModelFailed, eventToolStarted, eventToolCompleted, eventToolFailed, eventSettled:
	default:
		return s, errShape
	}
	if len(t) == 3 {
		return s, nil
	}
	s.Long = true
	return s, parseNumbers(t[2], &s.Epoch, &s.Turn, &s.Index, &s.Attempt)
}

// parseNumbers reads as many numbers as there are places, in the one spelling that numbers writes.
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

func join(tokens ...string) string { return strings.Join(tokens, ".") }

func numbers(ns ...uint32) string {
	buf := make([]byte, 0, 24)
	for i, n := range ns {
		if i > 0 {
			buf = append(buf, '-')
		}
		buf = strconv.AppendUint(buf, uint64(n), 10)
	}
	return string(buf)
}

// isToken reports whether s can stand in a subject as it is.
func isToken(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != "" && len(s) <= maxToken
}

func isTokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// token makes a name fit a subject. A name that fits stays as it is; any other, the empty one too, gets the first digits of
// its SHA-256 appended, so that two names don't share a subject.
func token(name string) string {
	if isToken(name) {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	fit := []byte(name)
	if len(fit) > maxToken-hashDigits-1 {
		fit = fit[:maxToken-hashDigits-1]
	}
	for i, c := range fit {
		if !isTokenByte(c) {
			fit[i] = '_'
		}
	}
	return string(fit) + "-" + hex.EncodeToString(sum[:hashDigits/2])
}
