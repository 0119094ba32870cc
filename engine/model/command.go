package model

import "time"

// CommandKind is what a person can ask of a job.
type CommandKind string

// Commands to a job.
const (
	CommandAbort    CommandKind = "abort"          // before the switch: stop and undo
	CommandConfirm  CommandKind = "confirm"        // after the switch: let go of the source's leftovers
	CommandRollback CommandKind = "rollback"       // before the switch: undo; after it: send back
	CommandRestore  CommandKind = "restore-source" // after the switch, with the guest dead: boot the source's frozen disks
	CommandKeep     CommandKind = "keep"           // a person's choice of the node that has the VM
	CommandRecover  CommandKind = "recover"        // settle what a lost process left
	CommandTune     CommandKind = "tune"           // change the limits while it runs
)

// AbortedByUser is in the words about what a person has stopped.
const AbortedByUser = "aborted by the user"

// Command is one wish of a person for a job. A nil limit stays as it is.
type Command struct {
	Kind        CommandKind    `json:"kind"`
	Bandwidth   *uint64        `json:"bandwidth,omitempty"` // MiB/s, 0 is no limit
	MaxDowntime *time.Duration `json:"max_downtime,omitempty"`
	By          string         `json:"by,omitempty"`
	// Keep is the node that a person chose.
	Keep NodeName `json:"keep,omitempty"`
}
