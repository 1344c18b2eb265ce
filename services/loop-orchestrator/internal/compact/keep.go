package compact

import (
	"slices"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// maxKept bounds the messages of the user that a seal holds, in bytes: some 16,000 tokens. What is older is in the summary only.
const maxKept = 64 << 10

// Given is what of a history a client is given back: the messages of the user, word for word, and what goes into the seal, which are
// those that hold instructions, and the summary. The call is as it was before [Open].
func Given(keys compaction.Keys, tenant string, c model.Call, summary string) (users []item.Item, content compaction.Content, err error) {
	users, rules, err := messages(keys, tenant, c)
	return users, compaction.Content{Kept: rules, Summary: summary}, err
}

// Whole is what takes the place of a history inside a response, so that a client who drops everything before has lost nothing: the
// instructions, the user's last messages within so many tokens, the summary, and what was not answered yet. The call is as it was
// before [Open].
func Whole(keys compaction.Keys, tenant string, c model.Call, summary string, tokens int) (compaction.Content, error) {
	head, tail := unanswered(c)
	users, rules, err := messages(keys, tenant, head)
	most := maxKept
	if tokens > 0 {
		most = min(most, tokens*bytesPerToken)
	}
	return compaction.Content{Kept: append(rules, last(users, most)...), Summary: summary, After: tail, Whole: true}, err
}

// messages are those of the user and those that hold instructions, with those of earlier compactions.
func messages(keys compaction.Keys, tenant string, c model.Call) (users, rules []item.Item, err error) {
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

// unanswered divides a call into the messages that its input ends with, if the model has said nothing since, and all before.
func unanswered(c model.Call) (head model.Call, tail []item.Item) {
	if len(c.Turns) > 0 {
		return c, nil
	}
	input := slices.DeleteFunc(slices.Clone(c.Request.Input), func(it item.Item) bool { return it.Type == compaction.Trigger })
	n := len(input)
	for n > 0 && input[n-1].Type == "message" && input[n-1].Role != "assistant" {
		n--
	}
	request := *c.Request
	request.Input = input[:n]
	c.Request = &request
	return c, input[n:]
}

// last are the newest items of at most so many bytes.
func last(items []item.Item, most int) []item.Item {
	from := len(items)
	for from > 0 && len(items[from-1].JSON()) <= most {
		from--
		most -= len(items[from].JSON())
	}
	return items[from:]
}
