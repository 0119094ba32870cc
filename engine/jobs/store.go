// Package jobs keeps the folder of each job: its journal, what it said, the
// lock of the process that works on it, and the socket that takes wishes.
//
// Everything about a job can be read from its folder by anyone of the same
// account, while it runs and afterwards, with or without its process. A folder
// whose lock is free and whose journal is not finished was interrupted.
package jobs

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"syscall"

	"github.com/gofrs/flock"

	"horcrux/engine/model"
)

// Names of the files in a job's folder; the journal has its own.
const (
	eventsFile = "events.jsonl"
	lockFile   = "lock"
	socketFile = "control"
	// consoleFile is beside the folders of the jobs.
	consoleFile = "console"
	// LogFile takes what the job's process prints, which is nothing unless it crashes.
	LogFile = "worker.log"
)

var (
	// ErrNoJob says that no job has that name.
	ErrNoJob = errors.New("no such job")
	// ErrBusy says that another process works on the job or on the VM.
	ErrBusy = errors.New("another process is at work on it")

	idPattern      = regexp.MustCompile(`^[a-z0-9]{6}$`)
	consolePattern = regexp.MustCompile(`^[0-9a-f]{16}$`)
)

// Store is the folder of all jobs of one account.
type Store struct{ root, console string }

// Open opens the store at root, making it if need be; only its owner may read it.
func Open(root string) (*Store, error) {
	s := &Store{root: root}
	for _, d := range []string{root, s.jobsDir(), s.locksDir(), s.LoginsDir(), s.queueDir()} {
		if err := privateDir(d); err != nil {
			return nil, err
		}
	}
	var err error
	s.console, err = consoleName(filepath.Join(root, consoleFile))
	return s, err
}

// Console is the random name of this state folder: marks on domains carry it,
// so that every console can tell its own moves from those of others.
func (s *Store) Console() string { return s.console }

// consoleName reads the name of a state folder, and makes one for a new folder.
// Of two processes that make one at the same time, the second takes the first's.
func consoleName(path string) (string, error) {
	for range 3 {
		b, err := os.ReadFile(path)
		if name := strings.TrimSpace(string(b)); err == nil && consolePattern.MatchString(name) {
			return name, nil
		}
		if err == nil {
			return "", fmt.Errorf("cannot use the state folder: %s is damaged: remove it, and moves that this console has begun count as another's", path)
		}
		if !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("cannot use the state folder: %w", err)
		}
		var r [8]byte
		if _, err := rand.Read(r[:]); err != nil {
			return "", err
		}
		tmp := path + "." + hex.EncodeToString(r[:4])
		if err := os.WriteFile(tmp, []byte(hex.EncodeToString(r[:])+"\n"), 0o600); err != nil {
			return "", fmt.Errorf("cannot use the state folder: %w", err)
		}
		err = os.Link(tmp, path) // never replaces one
		_ = os.Remove(tmp)
		if err != nil && !errors.Is(err, os.ErrExist) {
			return "", fmt.Errorf("cannot use the state folder: %w", err)
		}
	}
	return "", fmt.Errorf("cannot use the state folder: %s does not stay", path)
}

// Root is the folder it was opened at.
func (s *Store) Root() string    { return s.root }
func (s *Store) jobsDir() string { return filepath.Join(s.root, "jobs") }

// LoginsDir is where all processes agree on how many of them log in to a server
// at a time.
func (s *Store) LoginsDir() string { return filepath.Join(s.locksDir(), "logins") }

func (s *Store) locksDir() string { return filepath.Join(s.root, "locks") }

// Dir is the folder of one job.
func (s *Store) Dir(id model.JobID) string { return filepath.Join(s.jobsDir(), string(id)) }

func privateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot make the state folder: %w", err)
	}
	st, err := os.Lstat(dir)
	switch {
	case err != nil:
		return fmt.Errorf("cannot use the state folder: %w", err)
	case !st.IsDir():
		return fmt.Errorf("cannot use the state folder: %s is not a folder of its own (a link?): remove it", dir)
	case st.Mode().Perm()&0o077 != 0:
		return os.Chmod(dir, 0o700)
	}
	return nil
}

// Make makes the folder of a new job.
func (s *Store) Make() (model.JobID, error) {
	for range 20 {
		var b [5]byte
		if _, err := rand.Read(b[:]); err != nil {
			return "", err
		}
		id := model.JobID(strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))[:6])
		err := os.Mkdir(s.Dir(id), 0o700)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("cannot make the folder of a job: %w", err)
		}
		return id, nil
	}
	return "", errors.New("cannot make the folder of a job: every name tried is taken")
}

// MakeAs makes the folder of a job that has a name already, from a mark on a
// host. It refuses a name that is not one, and one that is taken.
func (s *Store) MakeAs(id model.JobID) error {
	if !idPattern.MatchString(string(id)) {
		return fmt.Errorf("%w: %q is not the name of a job", ErrNoJob, id)
	}
	if err := os.Mkdir(s.Dir(id), 0o700); err != nil {
		return fmt.Errorf("cannot make the folder of job %s: %w", id, err)
	}
	return nil
}

// Has tells whether the store knows a job of that name.
func (s *Store) Has(id model.JobID) bool {
	if !idPattern.MatchString(string(id)) {
		return false
	}
	_, err := os.Stat(s.Dir(id))
	return err == nil
}

// Discard removes the folder of a job that never had a journal.
func (s *Store) Discard(id model.JobID) error {
	if !idPattern.MatchString(string(id)) {
		return ErrNoJob
	}
	return os.RemoveAll(s.Dir(id))
}

// IDs lists all jobs, in no order that means anything.
func (s *Store) IDs() ([]model.JobID, error) {
	es, err := os.ReadDir(s.jobsDir())
	if err != nil {
		return nil, fmt.Errorf("cannot list the jobs: %w", err)
	}
	var ids []model.JobID
	for _, e := range es {
		if e.IsDir() && idPattern.MatchString(e.Name()) {
			ids = append(ids, model.JobID(e.Name()))
		}
	}
	return ids, nil
}

// Resolve finds the job that prefix names.
func (s *Store) Resolve(prefix string) (model.JobID, error) {
	ids, err := s.IDs()
	if err != nil {
		return "", err
	}
	var hits []string
	for _, id := range ids {
		if prefix != "" && strings.HasPrefix(string(id), prefix) {
			hits = append(hits, string(id))
		}
	}
	sort.Strings(hits)
	switch len(hits) {
	case 0:
		return "", fmt.Errorf("%w: %q", ErrNoJob, prefix)
	case 1:
		return model.JobID(hits[0]), nil
	}
	return "", fmt.Errorf("%q names several jobs: %s", prefix, strings.Join(hits, ", "))
}

// Lock takes the job for this process. The kernel lets go of it when the
// process ends, however it ends.
func (s *Store) Lock(id model.JobID) (*flock.Flock, error) {
	return take(filepath.Join(s.Dir(id), lockFile), "job "+string(id))
}

// LockVM takes a VM for one move at a time on this machine.
func (s *Store) LockVM(vm model.UUID) (*flock.Flock, error) {
	if strings.ContainsAny(string(vm), "/\x00") || vm == "" {
		return nil, fmt.Errorf("cannot lock VM %q: not a UUID", vm)
	}
	return take(filepath.Join(s.locksDir(), string(vm)+".lock"), "VM "+string(vm))
}

func take(path, what string) (*flock.Flock, error) {
	l := flock.New(path, lockOptions...)
	ok, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("cannot lock %s: %w", what, err)
	}
	if !ok {
		return nil, fmt.Errorf("cannot lock %s: %w", what, ErrBusy)
	}
	return l, nil
}

// lockOptions make a lock only its owner's, and none through a link.
var lockOptions = []flock.Option{flock.SetPermissions(0o600), flock.SetFlag(os.O_CREATE | os.O_RDWR | syscall.O_NOFOLLOW)}

// Alive tells whether a process works on the job.
func (s *Store) Alive(id model.JobID) bool {
	l := flock.New(filepath.Join(s.Dir(id), lockFile), lockOptions...)
	ok, err := l.TryRLock()
	if err != nil {
		return false
	}
	if ok {
		_ = l.Unlock()
	}
	return !ok
}
