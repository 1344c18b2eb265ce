package subject

import (
	"strconv"
	"strings"

	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// Family is the second token of a subject: the kind of message.
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

// Subject is a parsed subject. Its names are tokens, as they stand in the
// subject; see Token. Fields that the family does not have are zero. A step's
// subject has no numbers: its identity is in the message and in a header,
// because the server keeps about 440 B of memory for each subject of a stream.
type Subject struct {
	Family                      Family
	Lane                        string
	Pool, Tool                  string
	Tenant                      string
	RequestID                   string
	Epoch, Turn, Index, Attempt uint32
	Event                       string // of a step: one of the Event constants
	// Long is the form of a step's subject in earlier versions, with the
	// identity before the event.
	Long bool
}

// Tail returns the subject without the prefix.
func (s Subject) Tail() string {
	switch s.Family {
	case FamilyTurn:
		return Join("turn", s.Lane, s.RequestID, formatNumbers(s.Epoch, s.Turn, s.Attempt))
	case FamilyTool:
		return Join("tool", s.Pool, s.Tool, s.RequestID, s.Identity())
	case FamilyFinal:
		return Join("final", s.RequestID, formatNumbers(s.Epoch))
	case FamilyStep:
		if s.Long {
			return Join("step", s.Tenant, s.RequestID, s.Identity(), s.Event)
		}
		return Join("step", s.Tenant, s.RequestID, s.Event)
	case FamilyMark:
		return Join("mark", s.Pool, s.RequestID, s.Identity())
	default:
		return Join(string(s.Family), s.RequestID)
	}
}

// Stream returns the name, after the prefix, of the stream that stores the
// subject.
func (s Subject) Stream() string { return strings.ToUpper(string(s.Family)) }

// Identity returns <epoch>-<turn>-<index>-<attempt>, the last token of the
// subjects of a tool command and of its mark.
func (s Subject) Identity() string { return formatNumbers(s.Epoch, s.Turn, s.Index, s.Attempt) }

// FormatIdentity returns a step's identity as subjects spell it.
func FormatIdentity(id *stepv1.StepIdentity) string {
	return formatNumbers(id.GetEpoch(), id.GetTurn(), id.GetIndex(), id.GetAttempt())
}

// ForTurn returns the subject of a turn command.
func ForTurn(c *stepv1.TurnCommand) Subject {
	id := c.GetIdentity()
	return Subject{
		Family: FamilyTurn, Lane: Token(c.GetLane()), RequestID: Token(id.GetRequestId()),
		Epoch: id.GetEpoch(), Turn: id.GetTurn(), Attempt: id.GetAttempt(),
	}
}

// ForTool returns the subject of a tool command.
func ForTool(c *stepv1.ToolCommand) Subject {
	s := withIdentity(FamilyTool, c.GetIdentity())
	s.Pool, s.Tool = Token(c.GetPool()), Token(c.GetTool())
	return s
}

// ForFinal returns the subject of a final command.
func ForFinal(c *stepv1.FinalCommand) Subject {
	return Subject{Family: FamilyFinal, RequestID: Token(c.GetRequestId()), Epoch: c.GetEpoch()}
}

// ForStep returns the subject of an event of a step.
func ForStep(tenant string, id *stepv1.StepIdentity, event string) Subject {
	s := withIdentity(FamilyStep, id)
	s.Tenant, s.Event = Token(tenant), event
	return s
}

// ForMark returns the subject of the mark of an at_most_once call.
func ForMark(pool string, id *stepv1.StepIdentity) Subject {
	s := withIdentity(FamilyMark, id)
	s.Pool = Token(pool)
	return s
}

// ForLive returns the subject of a request's live frames.
func ForLive(requestID string) Subject {
	return Subject{Family: FamilyLive, RequestID: Token(requestID)}
}

// LiveTail returns the subject, without the prefix, to which the server
// republishes a request's live frames.
func LiveTail(requestID string) string { return Join("tail", Token(requestID)) }

// ForDead returns the subject of a dead letter.
func ForDead(requestID string) Subject {
	return Subject{Family: FamilyDead, RequestID: Token(requestID)}
}

func withIdentity(f Family, id *stepv1.StepIdentity) Subject {
	return Subject{
		Family: f, RequestID: Token(id.GetRequestId()),
		Epoch: id.GetEpoch(), Turn: id.GetTurn(), Index: id.GetIndex(), Attempt: id.GetAttempt(),
	}
}

// Join joins tokens.
func Join(tokens ...string) string { return strings.Join(tokens, ".") }

func formatNumbers(ns ...uint32) string {
	buf := make([]byte, 0, 24)
	for i, n := range ns {
		if i > 0 {
			buf = append(buf, '-')
		}
		buf = strconv.AppendUint(buf, uint64(n), 10)
	}
	return string(buf)
}
