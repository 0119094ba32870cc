package migrate

import "horcrux/engine/model"

// stopsForMemory tells that the guest stands still while its memory is copied:
// the mode online, unless its user has paused it anyway.
func (j *Job) stopsForMemory() bool {
	return j.plan.Mode == model.ModeOnline && !j.wasPaused()
}

// stopsAtOnce tells that libvirt pauses the guest as Perform begins. With disks
// to copy that would be too soon: they go over while the guest runs, and it is
// paused by us when they are done.
func (j *Job) stopsAtOnce() bool {
	return j.stopsForMemory() && len(j.plan.Copies()) == 0
}

// movesMemory tells that only memory stands between the plan and the switch, so
// that what a check takes is worth saving.
func (j *Job) movesMemory() bool {
	return j.plan.Mode == model.ModeLive || j.plan.Mode == model.ModeOnline
}
