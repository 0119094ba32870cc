package model

import "time"

// Decision is put to a person where no rule can say which node has the VM: what
// both hosts say, both choices, and what each would lose.
type Decision struct {
	Sides   []SideFacts `json:"sides"`
	Choices []Choice    `json:"choices"`
}

// SideFacts is what one node says of its copy.
type SideFacts struct {
	Node   NodeName     `json:"node"`
	Status DomainStatus `json:"status"`
	// Mark is what a move wrote on the domain there, nil if nothing.
	Mark  *Mark      `json:"mark,omitempty"`
	Disks []FileFact `json:"disks,omitempty"`
}

// FileFact is one file as a host has it.
type FileFact struct {
	Path string `json:"path"`
	// Size in bytes and the time of the last write; Err why they are not known.
	Size    uint64    `json:"size"`
	Written time.Time `json:"written,omitzero"`
	Err     string    `json:"err,omitempty"`
}

// Choice is one of the two that a person has.
type Choice struct {
	Keep NodeName `json:"keep"`
	// Loses says in words what is lost by it.
	Loses string `json:"loses"`
	// Command carries it out; Refused says why it cannot be carried out now.
	Command string `json:"command,omitempty"`
	Refused string `json:"refused,omitempty"`
}

// Loss is what a restore of the source would lose.
type Loss struct {
	// Since is when the target took over.
	Since time.Time `json:"since"`
	// Written is what the guest wrote on the target since, in bytes, if Known.
	Written uint64 `json:"written"`
	Known   bool   `json:"known"`
	// Target is what the target says of its copy.
	Target DomainStatus `json:"target"`
}
