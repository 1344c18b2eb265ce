package streamcheck

const listTools = "mcp_list_tools"

// listAdded looks at a list of a server's tools that is added.
func (c *checker) listAdded(said itemJSON) {
	if len(said.Tools) > 0 {
		c.report("list", "%s is added with tools already", said.ID)
	}
	for _, before := range c.items {
		if before.kind != listTools {
			c.report("list", "%s is added behind %s", said.ID, before.id)
			return
		}
	}
}

// listDone looks at one that is done.
func (c *checker) listDone(it *item, said itemJSON) {
	want := "completed"
	if len(said.Error) > 0 && string(said.Error) != "null" {
		want = "failed"
	}
	if it.outcome != want {
		c.report("list", "%s is done with the error %s, its last event was %q", it.id, said.Error, it.outcome)
	}
	if said.Tools == nil {
		c.report("list", "%s is done without tools", it.id)
	}
}
