package keys

import (
	"context"
	"errors"
	"fmt"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/keys"
)

type revoke struct {
	database
	ID string `arg:"" help:"The key's id, as list shows it: the part between wl_ and the next _."`
}

// Run revokes a key. Revoking it again succeeds.
func (c *revoke) Run(ctx context.Context) error {
	return c.use(func(s *keys.Store) error {
		key, err := s.Revoke(ctx, "", c.ID)
		if errors.Is(err, store.ErrNotFound) {
			return errors.New("no key has this id") // without the id: it may be a whole key
		}
		if err != nil {
			return err
		}
		_, err = fmt.Printf("%s of tenant %s is revoked\n", key.ID, key.Tenant)
		return err
	})
}
