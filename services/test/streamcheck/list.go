package streamcheck

const listTools = "mcp_list_tools"

// listAdded checks an added list of a server's tools.
func (c *checker) listAdded(got itemJSON) {
	if len(got.Tools) > 0 {
		c.report("list", "%s is added with tools already", got.ID)
	}
	for _, before := range c.items {
		if before.kind != listTools {
			c.report("list", "%s is added behind %s", got.ID, before.id)
			return
		}
	}
}

// listDone checks a done list.
func (c *checker) listDone(it *item, got itemJSON) {
	want := "completed"
	if len(got.Error) > 0 && string(got.Error) != "null" {
		want = "failed"
	}
	if it.outcome != want {
		c.report("list", "%s is done with the error %s, its last event was %q", it.id, got.Error, it.outcome)
	}
	if got.Tools == nil {
		c.report("list", "%s is done without tools", it.id)
	}
}
