package raw

// With is the object v with to as the only value of a key, wherever and however often the key was there, or as a last member
// where it was not. A missing value takes the key out. The other members stay the bytes they were, in their order; v is not
// written to. Anything but an object is returned as it is.
func (v Value) With(key string, to Value) Value {
	if v.Kind() != Object {
		return v
	}
	out := make(Value, 1, len(v)+len(key)+len(to)+len(`"":,`))
	out[0] = '{'
	done := len(to) == 0
	for i := space(v, 1); v[i] != '}'; {
		name := skipString(v, i)
		start := space(v, space(v, name)+1) // past the colon
		end := skip(v, start)
		switch {
		case string(plain(v[i+1:name-1])) != key:
			out = append(out.next(), v[i:end]...)
		case !done:
			out, done = append(append(out.next(), v[i:start]...), to...), true
		}
		if i = space(v, end); v[i] == ',' {
			i = space(v, i+1)
		}
	}
	if !done {
		out = append(append(AppendText(out.next(), key), ':'), to...)
	}
	return append(out, '}')
}

// next is an object that is being written, ready for another member.
func (v Value) next() Value {
	if len(v) == 1 {
		return v
	}
	return append(v, ',')
}
