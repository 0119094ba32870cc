package model

import "slices"

// Elsewhere lists the moves of other consoles that marks on the nodes tell of,
// newest first. What a mark says is what the last process of that move wrote; no
// console knows whether that process still lives.
func (c Cluster) Elsewhere() []Job {
	var out []Job
	for _, v := range c.VMs {
		m := v.Mark
		if m == nil || m.Ours || !m.Active() {
			continue
		}
		j := Job{
			ID: m.Job, VM: v.UUID, VMName: v.Name, From: m.From, To: m.To, State: JobRunning, Started: m.Since, By: m.By, Elsewhere: true,
		}
		if m.Role == RoleWaiting {
			j.State = JobQueued
		}
		// The VM and the copy that is being made of it have the same mark.
		if !slices.ContainsFunc(out, func(o Job) bool { return o.ID == j.ID && o.VM == j.VM }) {
			out = append(out, j)
		}
	}
	slices.SortStableFunc(out, func(a, b Job) int { return b.Started.Compare(a.Started) })
	return out
}
