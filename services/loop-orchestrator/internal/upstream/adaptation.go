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

// ForClientBody returns a client for bodies that an application wrote.
// isClients reports whether the application wrote that member itself: such a
// member is never left out after a refusal.
func (u Client) ForClientBody(isClients func(member string) bool) Client {
	u.isClients = isClients
	return u
}

// adaptation changes the body of a call until the upstream accepts it. Sending
// it again uses up no attempt of the run.
type adaptation struct {
	client   Client
	at       registry.Upstream
	request  compat.Request
	settings []compat.Change
	recalled []compat.Change // learned with earlier calls, and allowed in this one
	learned  []compat.Change // with this call
	sent     []byte
	resends  int
}

func (u Client) newAdaptation(at registry.Upstream, r compat.Request) *adaptation {
	return &adaptation{
		client: u, at: at, request: r, settings: compat.Settings(at, r),
		recalled: compat.Allowed(r, u.Memory.Recall(at.Origin(), r.Path)),
	}
}

func (a *adaptation) nextBody() []byte {
	a.sent = compat.Apply(a.request, a.at.Body, slices.Concat(a.settings, a.recalled, a.learned))
	return a.sent
}

// headers gives a body that was changed by a lesson an idempotency key of its
// own: a server may keep the refusal of the other body under the first key.
func (a *adaptation) headers(h Headers) Headers {
	changes := slices.Concat(a.recalled, a.learned)
	if len(changes) == 0 || h.IdempotencyKey == "" {
		return h
	}
	slices.SortFunc(changes, compat.Compare)
	sum := sha256.Sum256(fmt.Append(nil, changes))
	h.IdempotencyKey += "-" + hex.EncodeToString(sum[:4])
	return h
}

// learnFrom reads a refusal. It reports whether the call is worth sending
// again.
func (a *adaptation) learnFrom(err error) bool {
	var refusal *run.Failure
	if !errors.As(err, &refusal) || a.resends == maxResends {
		return false
	}
	sent := a.request
	sent.Body = a.sent
	for _, c := range compat.AfterRefusal(sent, refusal.HTTPStatus, refusal.Raw) {
		if !a.hasChange(c) {
			a.learned = append(a.learned, c)
		}
	}
	a.resends++
	return !bytes.Equal(sent.Body, a.nextBody())
}

// hasChange reports whether a change was made already. A bound has only two
// names: a server that refuses both is not asked a third time.
func (a *adaptation) hasChange(c compat.Change) bool {
	return slices.Contains(a.recalled, c) || slices.ContainsFunc(a.learned, func(o compat.Change) bool {
		return o == c || o.Kind == compat.Bound && c.Kind == compat.Bound
	})
}

// remember keeps the changes with which the upstream accepted the call.
func (a *adaptation) remember() {
	for _, c := range a.client.Memory.Learn(a.at.Origin(), a.request.Path, a.learned) {
		if a.client.OnLearn != nil {
			a.client.OnLearn(a.at, c)
		}
	}
}
