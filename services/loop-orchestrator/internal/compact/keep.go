package compact

import (
	"slices"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// maxKept bounds the messages of the user in a seal, in bytes: some 16,000
// tokens. Older ones are in the summary only.
const maxKept = 64 << 10

// Split returns the two parts of a compacted history that a client gets: the
// messages of the user, word for word, and the content of the seal, which is
// the messages with instructions and the summary. c is the call before [Open].
func Split(
	keys compaction.Keys, tenant string, c model.Call, summary string,
) (users []item.Item, content compaction.Content, err error) {
	users, rules, err := readMessages(keys, tenant, c)
	return users, compaction.Content{Kept: rules, Summary: summary}, err
}

// Replace returns the content of a seal that replaces a history inside a
// response, so that a client may drop everything before it: the messages with
// instructions, the user's last messages of at most so many tokens, the
// summary, and the messages that are not answered yet. c is the call before
// [Open].
func Replace(
	keys compaction.Keys, tenant string, c model.Call, summary string, tokens int,
) (compaction.Content, error) {
	head, tail := splitUnanswered(c)
	users, rules, err := readMessages(keys, tenant, head)
	most := maxKept
	if tokens > 0 {
		most = min(most, tokens*bytesPerToken)
	}
	kept := append(rules, newest(users, most)...)
	return compaction.Content{Kept: kept, Summary: summary, After: tail, Whole: true}, err
}

// readMessages returns the messages of the user and those with instructions,
// including those in earlier compactions.
func readMessages(keys compaction.Keys, tenant string, c model.Call) (users, rules []item.Item, err error) {
	var take func(items []item.Item)
	take = func(items []item.Item) {
		for _, it := range items {
			switch {
			case it.Type == compaction.Item:
				content, bad := keys.Open(tenant, it.Encrypted())
				if err == nil {
					err = bad
				}
				if content.Whole {
					users, rules = nil, nil
				}
				take(content.Messages())
			case it.Type == "message" && it.Role == "user":
				users = append(users, it)
			case it.Type == "message" && it.Role != "assistant":
				rules = append(rules, it)
			}
		}
	}
	for _, a := range c.Ancestors {
		take(a.Input)
		for _, t := range a.Turns {
			take(t.Items)
		}
	}
	take(c.Request.Input)
	for _, t := range c.Turns {
		take(t.Items)
	}
	return users, rules, err
}

// splitUnanswered cuts off the messages that a call's input ends with, if the
// model has not answered them yet.
func splitUnanswered(c model.Call) (head model.Call, tail []item.Item) {
	if len(c.Turns) > 0 {
		return c, nil
	}
	isTrigger := func(it item.Item) bool { return it.Type == compaction.Trigger }
	input := slices.DeleteFunc(slices.Clone(c.Request.Input), isTrigger)
	n := len(input)
	for n > 0 && input[n-1].Type == "message" && input[n-1].Role != "assistant" {
		n--
	}
	request := *c.Request
	request.Input = input[:n]
	c.Request = &request
	return c, input[n:]
}

// newest returns the last items, of at most so many bytes.
func newest(items []item.Item, most int) []item.Item {
	from := len(items)
	for from > 0 && len(items[from-1].JSON()) <= most {
		from--
		most -= len(items[from].JSON())
	}
	return items[from:]
}
