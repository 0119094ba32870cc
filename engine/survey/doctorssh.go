package survey

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"horcrux/engine/fleet"
	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// reach says how the node is reached, and what of that is worth changing.
func (d *doctor) reach(ctx context.Context) {
	w, ok := d.n.Way()
	if !ok {
		d.add("ssh", "SSH", model.Pass, "logged in at "+d.n.MigrateAddress(), "")
		return
	}
	how := fmt.Sprintf("logged in as %s at %s", d.n.User(), w.Address)
	switch w.Jumps {
	case 0:
	case 1:
		how += " through a jump host"
	default:
		how += fmt.Sprintf(" through %d jump hosts", w.Jumps)
	}
	if w.Second {
		d.add("ssh", "SSH", model.Warn, how+"; nobody answers at the first address", "see why "+d.n.Config().Address+" does not answer, or change the order of the addresses")
	} else {
		d.add("ssh", "SSH", model.Pass, how, "")
	}
	if len(w.Command) > 0 {
		d.add("forwarding", "SSH forwarding", model.Warn,
			"sshd opens no streams to sockets; libvirt is reached by "+strings.Join(w.Command, " ")+", which takes a session each (MaxSessions)",
			"AllowTcpForwarding local and AllowStreamLocalForwarding yes in sshd_config of the node")
	} else {
		d.add("forwarding", "SSH forwarding", model.Pass, "libvirt at "+w.Socket, "")
	}
	d.shell(ctx)
	d.rights(ctx)
}

// shell runs a command that does nothing: what it takes, and what it says, are
// the shell's. The better of two tries counts.
func (d *doctor) shell(ctx context.Context) {
	took := time.Duration(0)
	var said string
	for range 2 {
		began := time.Now()
		r, err := d.n.Exec(ctx, []string{"true"}, nil)
		if no := new(fleet.SudoError); errors.As(err, &no) {
			return // rights says it
		}
		if err != nil {
			d.add("shell", "commands over SSH", model.Fail, err.Error(), "allow the user to run commands over SSH")
			return
		}
		if t := time.Since(began); took == 0 || t < took {
			took = t
		}
		said = string(r.Stdout)
	}
	v, detail, remedy := shellFinding(took, said)
	d.add("shell", "commands over SSH", v, detail, remedy)
}

// slowCommand is what a command may take beside what it does. A session costs
// two round trips; a slow shell was seen to take 650 ms for each, and a move
// runs dozens of commands.
const slowCommand = 300 * time.Millisecond

func shellFinding(took time.Duration, said string) (v model.Verdict, detail, remedy string) {
	const remedyShell = "see what the start-up files of the user's shell (.bashrc) do in shells that are not interactive"
	took = took.Round(time.Millisecond)
	switch {
	case said != "":
		return model.Fail, fmt.Sprintf("the shell says %q before each command, which spoils what the command says", virt.Clean(said)), remedyShell
	case took > slowCommand:
		return model.Warn, fmt.Sprintf("a command that does nothing takes %s, and a move runs dozens of them", took), remedyShell
	}
	return model.Pass, fmt.Sprintf("a command that does nothing takes %s", took), ""
}

// rights says what a user that is not root may not do, and what would give it.
func (d *doctor) rights(ctx context.Context) {
	who := d.n.User()
	if who == "root" {
		return
	}
	_, err := d.n.Exec(ctx, []string{"test", "-w", "/"}, nil)
	var no *fleet.SudoError
	switch {
	case errors.As(err, &no):
		d.add("rights", "rights", model.Fail, no.Error(), "as root on the node, with visudo: "+who+" ALL=(root) NOPASSWD: ALL")
	case err != nil:
		d.add("rights", "rights", model.Fail, err.Error(), "allow the user to run commands over SSH")
	case d.n.Sudo():
		d.add("rights", "rights", model.Pass, who+", with sudo -n", "")
	default:
		d.add("rights", "rights", model.Warn,
			who+" does what libvirt allows; the files of VMs are root's, so shared storage cannot be proved, and what a move leaves cannot be moved aside",
			"sudo = true for this node, with a rule that asks no password, or user = \"root\"")
	}
}
