package screen

import (
	"time"

	"horcrux/engine/model"
)

// Target is one domain on one node.
type Target struct {
	UUID model.UUID
	Node model.NodeName
}

// Intents that ask something of a VM, a node, or the engine.
type (
	// Power does one act on the life cycle of VMs.
	Power struct {
		VMs []model.VM
		Act model.PowerAct
	}
	// Snap does one act on a snapshot of a VM.
	Snap struct {
		VM  model.VM
		Act model.SnapshotAct
	}
	// Maintain sets or takes away the mark that no VM is sent to a node.
	Maintain struct {
		Node model.NodeName
		On   bool
		Why  string
	}
	// Reconnect tries to reach a node now.
	Reconnect struct{ Node model.NodeName }
	// Console connects to the serial console of a VM; Force takes it away from
	// whoever has it.
	Console struct {
		VM    model.VM
		Force bool
	}
	// AskVM, AskNode, AskHealth, AskDoctor and AskLog want what the message of
	// the same name answers.
	AskVM struct{ Target }
	// AskNode wants the details of a node.
	AskNode struct{ Node model.NodeName }
	// AskHealth wants the eight checks of a VM, now.
	AskHealth struct{ Target }
	// AskDoctor wants every node looked at.
	AskDoctor struct{}
	// AskLog wants the saved log.
	AskLog struct{}
	// OpenMatrix shows which VM may go where, OpenDoctor what every node lacks.
	OpenMatrix struct{ VMs []model.VM }
	// OpenDoctor shows what every node lacks.
	OpenDoctor struct{}
	// Columns is what the person chose to see of VMs; it is kept for next time.
	Columns struct{ Hidden []string }
)

// Answers to those.
type (
	// VMArrived answers AskVM.
	VMArrived struct {
		Target
		Details model.VMDetails
		Err     error
	}
	// NodeArrived answers AskNode.
	NodeArrived struct {
		Node    model.NodeName
		Details model.NodeDetails
		Err     error
	}
	// HealthNews is one check of AskHealth, or its end.
	HealthNews struct {
		Target
		Check *model.CheckResult
		Done  bool
		Err   error
	}
	// DoctorNews is the report on one node, or the end of AskDoctor.
	DoctorNews struct {
		Node     model.NodeName
		Findings []model.Finding
		Done     bool
		Err      error
	}
	// LogArrived answers AskLog, newest first.
	LogArrived struct {
		Lines []model.LogEntry
		Err   error
	}
	// Acted says that an act of Power or Snap has its answer.
	Acted struct {
		Target
		Err error
	}
)

// Series are the newest readings of one VM or node, oldest first. A slice is
// never changed, only replaced.
type Series struct {
	CPU, Memory, Read, Write, Rx, Tx []float64
	Since                            time.Time // of the first reading kept
}

// Busy is an act that a host has not answered yet.
type Busy struct {
	Word  string // "starting"
	Since time.Time
}
