package lab

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A process takes a name other than its first by exec, which a process does
// right after its start if ever: one that is older than settledAfter and is not
// called QEMU is looked at again only after lookAgain.
const (
	settledAfter = 2 * time.Second
	lookAgain    = 250 * time.Millisecond
)

// procList finds QEMU in the machine's process list, 20 times a second beside
// the very processes that it watches. It reads as little as it can: the name of
// a process that is not QEMU, the state of one that is and was there before.
type procList struct {
	mu    sync.Mutex
	known map[int]*seenProcess
	buf   [1024]byte
}

type seenProcess struct {
	first, read, listed time.Time
	start               string // tells a process from a later one with its number
	process                    // whole if it is QEMU
	qemu                bool
}

// qemus lists the processes that are called QEMU and live. A quick look takes
// the word of an earlier one for what has not changed by all experience.
func (l *procList) qemus(quick bool) []process {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	names, err := dir.Readdirnames(-1)
	dir.Close()
	if err != nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil {
		l.known = map[int]*seenProcess{}
	}
	now := time.Now()
	var out []process
	for _, name := range names {
		if name[0] < '1' || name[0] > '9' {
			continue
		}
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		s := l.known[pid]
		if s == nil {
			s = &seenProcess{first: now}
			l.known[pid] = s
		}
		s.listed = now
		if quick && !s.qemu && now.Sub(s.first) > settledAfter && now.Sub(s.read) < lookAgain {
			continue
		}
		s.read = now
		if l.refresh(s, pid, name); s.qemu && !s.dead() {
			out = append(out, s.process)
		}
	}
	for pid, s := range l.known {
		if !s.listed.Equal(now) {
			delete(l.known, pid)
		}
	}
	return out
}

func (l *procList) refresh(s *seenProcess, pid int, name string) {
	comm, ok := slurp("/proc/"+name+"/comm", l.buf[:])
	if !ok || !bytes.HasPrefix(comm, []byte("qemu-system-")) {
		s.qemu = false
		return
	}
	stat, ok := slurp("/proc/"+name+"/stat", l.buf[:])
	_, state, whole := parseStat(stat)
	if !ok || !whole {
		s.qemu = false
		return
	}
	if start := startOf(stat); !s.qemu || s.start != start {
		s.start = start
		if s.process, s.qemu = readProcess(pid); !s.isQEMU() {
			s.qemu = false
		}
		return
	}
	s.State = state
}

// startOf is the 22nd field of /proc/PID/stat; the name before it may hold spaces.
func startOf(stat []byte) string {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return ""
	}
	return fields[19]
}

// slurp reads a small file of /proc by three system calls; os.ReadFile needs
// more than twice as many.
func slurp(path string, buf []byte) ([]byte, bool) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	defer syscall.Close(fd) //nolint:errcheck // only read from
	n, err := syscall.Read(fd, buf)
	if err != nil || n <= 0 {
		return nil, false
	}
	return buf[:n], true
}
