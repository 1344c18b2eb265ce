// Package processes measures the processor time and memory of the benchmark's
// processes by /proc. On systems without it, it measures nothing.
//
// Decision: procfs reads /proc. With 87 processes, CPU takes 3.3 ms and Memory
// 4.4 ms; a parser of the few fields in use takes 2.3 and 2.7 ms. Memory is
// read once a second, so that the difference is 0.1 % of a 2-core machine.
package processes

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/procfs"
)

// The groups whose processor time and memory are reported.
const (
	Services = "services"
	Postgres = "postgres"
	NATS     = "nats"
	Mock     = "mock"
	Load     = "load"
)

// Groups are all groups, in the order of a report.
var Groups = []string{Services, Postgres, NATS, Mock, Load}

// Set has the id of each group's main process. The children of Postgres's main
// process count with it.
type Set map[string]int

// tick is the unit of /proc's processor times: 1/100 s on every Linux.
const tick = 10 * time.Millisecond

// CPU returns the processor time each group has used since its start, without
// the groups whose process has ended.
func (s Set) CPU() map[string]time.Duration {
	used := map[string]time.Duration{}
	for group, pid := range s {
		main, err := readStat(pid)
		if err != nil {
			continue
		}
		ticks := main.UTime + main.STime
		if group == Postgres {
			// Ended children belong to the stack in this group only.
			ticks += uint(main.CUTime + main.CSTime)
			for _, child := range childrenOf(pid) {
				ticks += child.UTime + child.STime
			}
		}
		used[group] = time.Duration(ticks) * tick
	}
	return used
}

// MachineCPU returns the processor time of all programs on this machine since
// it started, 0 without /proc.
func MachineCPU() time.Duration {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return 0
	}
	stat, err := fs.Stat()
	if err != nil {
		return 0
	}
	c := stat.CPUTotal
	return time.Duration((c.User + c.Nice + c.System + c.IRQ + c.SoftIRQ + c.Steal) * float64(time.Second))
}

// Memory returns the bytes that each group holds now. Memory that the processes
// of Postgres share counts once.
func (s Set) Memory() map[string]int64 {
	held := map[string]int64{}
	for group, pid := range s {
		pids := []int{pid}
		if group == Postgres {
			for _, child := range childrenOf(pid) {
				pids = append(pids, child.PID)
			}
		}
		var private, shared, file uint64
		for _, pid := range pids {
			status := readStatus(pid)
			private += status.RssAnon
			shared, file = max(shared, status.RssShmem), max(file, status.RssFile)
		}
		held[group] = int64(private + shared + file)
	}
	return held
}

// WatchMemory reads the memory once a second until ctx ends. peaks waits for
// the end and returns the maximum of each group.
func (s Set) WatchMemory(ctx context.Context) (peaks func() map[string]int64) {
	var watching sync.WaitGroup
	highest := s.Memory()
	watching.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				raise(highest, s.Memory())
				return
			case <-ticker.C:
				raise(highest, s.Memory())
			}
		}
	})
	return func() map[string]int64 {
		watching.Wait()
		return highest
	}
}

func raise(highest, now map[string]int64) {
	for group, bytes := range now {
		highest[group] = max(highest[group], bytes)
	}
}

func readStat(pid int) (procfs.ProcStat, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return procfs.ProcStat{}, err
	}
	return p.Stat()
}

// childrenOf skips processes that end meanwhile.
func childrenOf(parent int) []procfs.ProcStat {
	all, err := procfs.AllProcs()
	if err != nil {
		return nil
	}
	var found []procfs.ProcStat
	for _, p := range all {
		if stat, err := p.Stat(); err == nil && stat.PPID == parent {
			found = append(found, stat)
		}
	}
	return found
}

// readStatus returns zeros for a process that has ended.
func readStatus(pid int) procfs.ProcStatus {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return procfs.ProcStatus{}
	}
	status, err := p.NewStatus()
	if err != nil {
		return procfs.ProcStatus{}
	}
	return status
}
