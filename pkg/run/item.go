package run

// NewItem is an item that is added to a conversation.
type NewItem struct {
	ID      string // unique in the conversation, at most 200 bytes
	Calls   []byte // the call id of a function_call; nil for other items
	Answers []byte // the call id of a function_call_output; nil for other items
	Data    []byte
}
