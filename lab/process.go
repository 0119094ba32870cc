package lab

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// initArg0 is the name under which process 1 of a host runs. Its arguments are
// the lab's directory, the prefix and the node, so that every host of a lab can
// be found by looking at the process list alone.
const initArg0 = "horcrux-lab-host"

// process is one line of the machine's process list.
type process struct {
	PID   int
	Comm  string
	State byte // as in ps: R, S, T, Z ...
	PIDNS string
	Args  []string
}

// dead tells a process that only waits for its parent.
func (p process) dead() bool { return p.State == 'Z' || p.State == 'X' }

// hostArgs gives lab directory, prefix and node if p is process 1 of a host.
func (p process) hostArgs() (dir, prefix, node string, ok bool) {
	if len(p.Args) != 4 || p.Args[0] != initArg0 {
		return "", "", "", false
	}
	return p.Args[1], p.Args[2], p.Args[3], true
}

// parseStat reads name and state out of /proc/PID/stat. The name stands in
// parentheses and may itself contain any character.
func parseStat(b []byte) (comm string, state byte, ok bool) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open || len(b) < end+3 {
		return "", 0, false
	}
	return string(b[open+1 : end]), b[end+2], true
}

func readProcess(pid int) (process, bool) {
	base := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(base + "/stat")
	if err != nil {
		return process{}, false
	}
	p := process{PID: pid}
	var ok bool
	if p.Comm, p.State, ok = parseStat(stat); !ok {
		return process{}, false
	}
	p.PIDNS, _ = os.Readlink(base + "/ns/pid")
	if cmd, err := os.ReadFile(base + "/cmdline"); err == nil && len(cmd) > 0 {
		p.Args = strings.Split(strings.TrimRight(string(cmd), "\x00"), "\x00")
	}
	return p, true
}

// processes lists the machine's processes for which keep is true. Those that
// end while it looks are left out.
func processes(keep func(process) bool) []process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var out []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, ok := readProcess(pid); ok && keep(p) {
			out = append(out, p)
		}
	}
	return out
}

// hostProcesses finds process 1 of every host of a lab, by node name.
func hostProcesses(p paths) map[string]int {
	out := map[string]int{}
	for _, proc := range processes(func(q process) bool {
		dir, prefix, _, ok := q.hostArgs()
		return ok && !q.dead() && dir == p.dir && prefix == p.prefix
	}) {
		out[proc.Args[3]] = proc.PID
	}
	return out
}

// PID is the machine's number of the host's process 1, or 0 if it is off.
func (n *Node) PID() int { return n.lab.hostPID(n.Name) }

// Running tells whether the host is on.
func (n *Node) Running() bool { return n.PID() != 0 }

// errOff is the answer of everything that needs a running host.
func (n *Node) errOff() error {
	return fmt.Errorf("cannot reach %s: the host is off; `horcrux lab fault on %s` starts it", n.Name, n.Name)
}

// inside lists the host's own processes for which keep is true.
func (n *Node) inside(keep func(process) bool) ([]process, error) {
	pid := n.PID()
	if pid == 0 {
		return nil, n.errOff()
	}
	ns, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "ns/pid"))
	if err != nil {
		return nil, n.errOff()
	}
	return processes(func(p process) bool { return p.PIDNS == ns && !p.dead() && keep(p) }), nil
}

// path is where a file of the host can be found from outside.
func (n *Node) path(pid int, inside string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), "root", inside)
}
