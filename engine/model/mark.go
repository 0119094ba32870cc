package model

import (
	"fmt"
	"time"
)

// MarkRole says what a mark on a domain means.
type MarkRole string

// Roles of a mark.
const (
	// RoleWaiting: a move waits for its turn; nothing was done to the domain.
	RoleWaiting MarkRole = "waiting"
	// RoleMoving: a move has hold of the domain.
	RoleMoving MarkRole = "moving"
	// RoleTombstone: what a move left on its source; it must not be started.
	RoleTombstone MarkRole = "tombstone"
)

// Mark is what a move writes on a domain, so that any console on any machine
// sees whose move it is, and what is needed to settle it if its journal is lost.
// What is read from a host is only what that host says.
type Mark struct {
	Job  JobID    `json:"job"`
	Role MarkRole `json:"role"`
	From NodeName `json:"from,omitempty"`
	To   NodeName `json:"to,omitempty"`
	// By is who asked for the move, user@machine; Console the random name of
	// the state folder that has the journal; Since when the move began.
	By      string    `json:"by,omitempty"`
	Console string    `json:"console,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	// Was is the state of the VM before the move.
	Was DomainState `json:"was,omitempty"`
	// Memory is what the VM will need on the target, in bytes.
	Memory uint64 `json:"memory,omitempty"`
	// Autostart tells that the move switched it off; Copies are the disks that
	// it copies, "vda".
	Autostart bool     `json:"autostart,omitempty"`
	Copies    []string `json:"copies,omitempty"`
	// Beat counts up while the move waits, and while it lives and libvirt has no
	// job that would show it.
	Beat uint64 `json:"beat,omitempty"`
	// Ours is set where a mark is shown: this console has the journal.
	Ours bool `json:"ours,omitempty"`
}

// Active tells that a move waits or is under way, by the mark.
func (m Mark) Active() bool {
	return m.Job != "" && (m.Role == RoleWaiting || m.Role == RoleMoving)
}

// Whose says in words whose move a mark is of.
func (m Mark) Whose() string {
	s := "job " + string(m.Job)
	if m.From != "" && m.To != "" {
		s += fmt.Sprintf(" (%s → %s)", m.From, m.To)
	}
	if m.By != "" {
		s += " of " + m.By
	}
	if !m.Since.IsZero() {
		s += ", begun " + m.Since.Local().Format("2006-01-02 15:04:05")
	}
	return s
}
