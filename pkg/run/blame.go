package run

// Blame is what the end of an attempt says about its step.
type Blame int

// The kinds of evidence.
const (
	// NoBlame: the worker handed the step over, or its command was lost.
	NoBlame Blame = iota
	// Suspected: the step was in flight when a worker died, and others were
	// beside it.
	Suspected
	// Proven: the step ended a process in which it ran alone, or panicked.
	Proven
)

// SuspectCrashes is the number of crashes after which a step runs alone. Until
// then a row's Crashes counts those that the step shared with others; from then
// on it counts only those that it had alone, and a shared one adds nothing.
const SuspectCrashes = 2

// Suspect reports whether the turn has to run alone.
func (r Row) Suspect() bool { return r.Crashes >= SuspectCrashes }

// ProvenCrashes is the number of processes that the turn ended while it ran
// alone.
func (r Row) ProvenCrashes() int { return max(r.Crashes-SuspectCrashes, 0) }
