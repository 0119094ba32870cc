// Package maintenance keeps the marks of nodes that no VM is to be sent to, and
// refuses the plans that would send one there.
//
// The marks lie in one file in the state folder, so that every console and the
// process of every job of the same account go by the same ones.
package maintenance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"

	"horcrux/engine/model"
)

// FindingID is the ID of what Judge finds.
const FindingID = "maintenance"

// Marks are the nodes that no VM is to be sent to.
type Marks map[model.NodeName]model.Maintenance

func pathIn(stateDir string) string { return filepath.Join(stateDir, "maintenance.json") }

// Read reads the marks that are kept in a state folder; no file is no marks.
func Read(stateDir string) (Marks, error) {
	path := pathIn(stateDir)
	marks := Marks{}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return marks, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &marks)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the maintenance marks in %s: %w", path, err)
	}
	return marks, nil
}

// Judge makes a plan to a marked node one that is refused. What an earlier look
// at the marks found is forgotten.
func (m Marks) Judge(p model.Plan) model.Plan {
	mark, ok := m[p.To]
	if !ok {
		return with(p, nil)
	}
	detail := fmt.Sprintf("%s is in maintenance since %s, by %s", p.To, mark.Since.Format("2006-01-02 15:04"), mark.By)
	if mark.Why != "" {
		detail += ": " + mark.Why
	}
	return with(p, &model.Finding{
		ID: FindingID, Title: "Maintenance", Verdict: model.Fail, Detail: detail, Remedy: "end the maintenance of " + string(p.To) + ": horcrux maintenance " + string(p.To) + " off",
	})
}

// Judge looks at the marks in a state folder now. Marks that cannot be read
// refuse every plan: one of them may be the target's.
func Judge(stateDir string, p model.Plan) model.Plan {
	m, err := Read(stateDir)
	if err != nil {
		return with(p, &model.Finding{
			ID: FindingID, Title: "Maintenance", Verdict: model.Fail, Detail: err.Error(), Remedy: "make that file readable, or remove it with all marks",
		})
	}
	return m.Judge(p)
}

// with puts a finding first, in place of an older one.
func with(p model.Plan, f *model.Finding) model.Plan {
	p.Findings = slices.DeleteFunc(slices.Clone(p.Findings), func(old model.Finding) bool { return old.ID == FindingID })
	if f != nil {
		p.Findings = slices.Insert(p.Findings, 0, *f)
	}
	return p
}

// Store shows the marks of a state folder without reading them each time.
type Store struct {
	dir string

	mu    sync.Mutex
	stamp time.Time // of the file when it was read
	size  int64
	marks Marks
}

// Open looks at the marks in a state folder.
func Open(stateDir string) *Store {
	s := &Store{dir: stateDir}
	s.Changed()
	return s
}

// Changed looks whether the file is another one than was read, and reads it.
func (s *Store) Changed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var stamp time.Time
	var size int64
	if i, err := os.Stat(pathIn(s.dir)); err == nil {
		stamp, size = i.ModTime(), i.Size()
	}
	if stamp.Equal(s.stamp) && size == s.size {
		return false
	}
	marks, err := Read(s.dir)
	if err != nil {
		return false // half a file is never seen; one that cannot be read keeps the old marks
	}
	s.stamp, s.size, s.marks = stamp, size, marks
	return true
}

// Onto puts the marks on the nodes of a picture.
func (s *Store) Onto(c model.Cluster) model.Cluster {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.marks) == 0 {
		return c
	}
	c.Nodes = slices.Clone(c.Nodes)
	for i := range c.Nodes {
		if mark, ok := s.marks[c.Nodes[i].Name]; ok {
			c.Nodes[i].Maintenance = &mark
		}
	}
	return c
}

// Set sets or takes away the mark of a node.
func (s *Store) Set(node model.NodeName, on bool, mark model.Maintenance) error {
	path := pathIn(s.dir)
	lock := flock.New(path + ".lock")
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("cannot lock the maintenance marks: %w", err)
	}
	defer lock.Unlock()
	marks, err := Read(s.dir)
	if err != nil {
		return err
	}
	marks = maps.Clone(marks)
	delete(marks, node)
	if on {
		marks[node] = mark
	}
	b, err := json.MarshalIndent(marks, "", "  ")
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(path, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("cannot keep the maintenance mark: %w", err)
	}
	return nil
}
