package run

// Fence names the turn that a worker believes it holds.
type Fence struct {
	ID      ID
	Epoch   int
	Turn    int
	Attempt int
}

// Fence is the fence of the row's turn and attempt.
func (r Row) Fence() Fence {
	return Fence{ID: r.ID, Epoch: r.Epoch, Turn: r.Turn, Attempt: r.Attempt}
}

// Holds reports whether the row is still at the fence's turn and attempt, with
// its model call undone.
func (f Fence) Holds(r Row) bool {
	return r.Status == InProgress && r.Stage == StageModel && r.Fence() == f
}

// TurnKey names a turn of a request.
type TurnKey struct {
	Request ID
	Turn    int
}
