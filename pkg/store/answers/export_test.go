package answers

import "context"

// Bounds of a list.
const (
	ListBudget = listBudget
	ListProbe  = listProbe
)

// ListWithBudget is List with another bound of the responses that a page reads.
func (s *Store) ListWithBudget(ctx context.Context, q Query, budget int) (Listing, error) {
	a := q.args()
	source, err := s.chooseSource(ctx, q, a)
	if err != nil {
		return Listing{}, err
	}
	a["budget"] = budget
	return s.readPage(ctx, source, q, a)
}
