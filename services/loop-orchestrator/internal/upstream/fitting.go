package upstream

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream/compat"
)

// maxResends bounds how often one call is sent again because of what its
// refusal says. Some servers name one unknown parameter at a time.
const maxResends = 8

// Passing is a client for bodies that an application wrote. given tells whether
// it wrote that member: what an application wrote is never left out after a
// refusal.
func (u Client) Passing(given func(member string) bool) Client {
	u.given = given
	return u
}

// fitting is a call's body on its way to being accepted. Sending it again costs
// no attempt of the run.
type fitting struct {
	client   Client
	at       registry.Upstream
	request  compat.Request
	settings []compat.Change
	learnt   []compat.Change // with earlier calls, and allowed in this one
	fresh    []compat.Change // with this one
	sent     []byte
	resends  int
}

func (u Client) fitting(at registry.Upstream, r compat.Request) *fitting {
	return &fitting{
		client: u, at: at, request: r, settings: compat.Settings(at, r),
		learnt: compat.Allowed(r, u.Memory.Recall(at.Origin(), r.Path)),
	}
}

func (f *fitting) body() []byte {
	f.sent = compat.Apply(f.request, f.at.Body, slices.Concat(f.settings, f.learnt, f.fresh))
	return f.sent
}

// headers gives a body that was changed by what was learnt an idempotency key
// of its own: a server may keep the refusal of the other body under the first
// key.
func (f *fitting) headers(h Headers) Headers {
	changes := slices.Concat(f.learnt, f.fresh)
	if len(changes) == 0 || h.IdempotencyKey == "" {
		return h
	}
	slices.SortFunc(changes, compat.Compare)
	sum := sha256.Sum256(fmt.Append(nil, changes))
	h.IdempotencyKey += "-" + hex.EncodeToString(sum[:4])
	return h
}

// again tells whether the call is worth sending again after err.
func (f *fitting) again(err error) bool {
	var refused *run.Failure
	if !errors.As(err, &refused) || f.resends == maxResends {
		return false
	}
	sent := f.request
	sent.Body = f.sent
	for _, c := range compat.Refusal(sent, refused.HTTPStatus, refused.Raw) {
		if !f.tried(c) {
			f.fresh = append(f.fresh, c)
		}
	}
	f.resends++
	return !bytes.Equal(sent.Body, f.body())
}

// tried tells whether a change was made already. A bound has two names only: a
// server that refuses both is not asked a third time.
func (f *fitting) tried(c compat.Change) bool {
	return slices.Contains(f.learnt, c) || slices.ContainsFunc(f.fresh, func(o compat.Change) bool {
		return o == c || o.Kind == compat.Bound && c.Kind == compat.Bound
	})
}

// learn remembers what made the call accepted.
func (f *fitting) learn() {
	for _, c := range f.client.Memory.Learn(f.at.Origin(), f.request.Path, f.fresh) {
		if f.client.Learnt != nil {
			f.client.Learnt(f.at, c)
		}
	}
}
