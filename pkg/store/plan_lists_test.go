package store

import (
	"maps"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/store/postgres"
)

// commonLabel is one that every response of tenant-1 has in the plan test.
const commonLabel = "00000000-0000-4000-8000-0000000000ff"

func bytesOf(id uuid.UUID) []byte { return id[:] }

// plannedLists are lists of tenant-1: the first pages of them, and those that look through as many responses as they may and find
// none that matches.
func plannedLists() []planned {
	common, rare := uuid.MustParse(commonLabel), uuid.New()
	all := []string{"queued", "in_progress", "completed", "incomplete", "failed", "cancelled", "expired"}
	list := func(change postgres.Args) postgres.Args {
		a := postgres.Args{
			"tenant": "tenant-1", "statuses": all, "model": "", "labels": []uuid.UUID{}, "label": common, "above": bytesOf(uuid.Nil), "below": bytesOf(uuid.Max),
			"most": 21, "budget": 21, "bytes": int64(1 << 20), "probe": 50, "broad": false,
		}
		maps.Copy(a, change)
		return a
	}
	failed := []string{"failed", "expired"}
	matched, unmatched := []uuid.UUID{common}, []uuid.UUID{common, rare}
	return []planned{
		{"list", byStatus.down, list(nil)},
		{"list up", byStatus.up, list(nil)},
		{"list middle", byStatus.down, list(postgres.Args{"above": bytesOf(uuid.MustParse("40000000-0000-4000-8000-000000000000"))})},
		{"list failed", byStatus.down, list(postgres.Args{"statuses": failed})},
		{"list model", byModel.down, list(postgres.Args{"model": "m"})},
		{"list another", byModel.down, list(postgres.Args{"model": "x", "statuses": failed})},
		{"list label", byLabel.down, list(postgres.Args{"labels": matched, "budget": 50})},
		{"list label up", byLabel.up, list(postgres.Args{"labels": matched, "statuses": []string{"completed"}, "budget": 50})},
		{"list none", byLabel.down, list(postgres.Args{"labels": unmatched, "budget": 50})},
		{"list none by", byModel.down, list(postgres.Args{"labels": unmatched, "model": "m", "budget": 50})},
		{"rarest", byStatus.rarest, list(postgres.Args{"labels": unmatched})},
		{"rarest model", byModel.rarest, list(postgres.Args{"labels": unmatched, "model": "m"})},
	}
}
