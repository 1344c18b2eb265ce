package raw

// With returns the object v with to as the only value of a key: in place of all
// its values, or as a last member if the key is absent. A missing value removes
// the key. The other members keep their bytes and order; v is not changed.
// Anything but an object is returned unchanged.
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

// next prepares an object that is being written for another member.
func (v Value) next() Value {
	if len(v) == 1 {
		return v
	}
	return append(v, ',')
}
