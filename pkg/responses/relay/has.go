package relay

// Has reports whether the client's body has a member of that name that is not
// null.
func (r *Request) Has(name string) bool { return r.body.Field(name).IsSet() }
