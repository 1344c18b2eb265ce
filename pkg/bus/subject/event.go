package subject

import stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"

// The events of a step, the last token of its subject.
const (
	EventModelCompleted = "model_completed"
	EventModelFailed    = "model_failed"
	EventToolStarted    = "tool_started"
	EventToolCompleted  = "tool_completed"
	EventToolFailed     = "tool_failed"
	EventSettled        = "settled"
)

// EventName returns the last token of an event's subject, empty for an event
// that is not set.
func EventName(e *stepv1.StepEvent) string {
	switch e.GetEvent().(type) {
	case *stepv1.StepEvent_ModelCompleted:
		return EventModelCompleted
	case *stepv1.StepEvent_ModelFailed:
		return EventModelFailed
	case *stepv1.StepEvent_ToolStarted:
		return EventToolStarted
	case *stepv1.StepEvent_ToolCompleted:
		return EventToolCompleted
	case *stepv1.StepEvent_ToolFailed:
		return EventToolFailed
	case *stepv1.StepEvent_RequestSettled:
		return EventSettled
	default:
		return ""
	}
}
