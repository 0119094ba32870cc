package rollback

import (
	"strings"
	"testing"

	"horcrux/engine/model"
)

// One line a case: source and target, and what follows. Suffixes: ! a mark of
// the move, + a tombstone, ? a mark of another job, * libvirt at work.
const orphanTable = `
running!  missing   -> undo source
running!  pm!       -> undo source
running!  off       -> undo source
running!  off!      -> undo source
running!  pu!       -> person -
running!  running!  -> person - suspend source,target
running!  ioerror!  -> person -
running*  pm!       -> wait -
running!  silent    -> wait -
silent    running!  -> wait -
pm!       missing   -> undo source
pm        missing   -> person -
pm!       pm!       -> undo source
pm!       migrated! -> complete target
pm!       unpaused! -> complete target
pm!       running!  -> person -
pm!       pu!       -> person -
pm!       off!      -> person -
pm*       pm!       -> wait -
pu!       missing   -> undo source
pu!       pm!       -> undo source
pu!       running!  -> person -
pu!       pu!       -> person -
ioerror!  missing   -> undo source
off!      missing   -> undo source
off!      running!  -> complete target
off!      off!      -> person -
off!      pm!       -> person -
off+      running   -> complete target
off+      off       -> complete target
off+      pu        -> complete target
off+      missing   -> person -
off+      silent    -> wait -
running+  running   -> person -
missing   running!  -> complete target
missing   pu!       -> person -
missing   off!      -> person -
missing   missing   -> person -
running   missing   -> person -
pm        pm        -> person -
running!  pm?       -> person -
postcopy! running!  -> person -
odd!      missing   -> wait -
`

func side(node model.NodeName, word string) model.SideFacts {
	f := model.SideFacts{Node: node}
	name := strings.TrimRight(word, "!+?*")
	f.Status = words[name]
	switch name {
	case "migrated", "unpaused":
		f.Status = model.DomainStatus{State: model.StateRunning, Reason: name}
	}
	m := model.Mark{Job: "abc234", Role: model.RoleMoving}
	switch strings.TrimPrefix(word, name) {
	case "!":
		f.Mark = &m
	case "+":
		m.Role = model.RoleTombstone
		f.Mark = &m
	case "?":
		m.Job = "zzz999"
		f.Mark = &m
	case "*":
		f.Mark, f.Status.JobActive = &m, true
	}
	return f
}

func TestOrphan(t *testing.T) {
	for _, line := range strings.Split(strings.TrimSpace(orphanTable), "\n") {
		left, want, _ := strings.Cut(line, "->")
		f := strings.Fields(left)
		t.Run(f[0]+"/"+f[1], func(t *testing.T) {
			got := Orphan(side("node1", f[0]), side("node2", f[1]))
			if got.short() != strings.TrimSpace(want) || got.Why == "" {
				t.Errorf("got %q (%s), want %q", got.short(), got.Why, strings.TrimSpace(want))
			}
		})
	}
}

// Whatever is seen, some things are never decided without a journal.
func TestOrphanNever(t *testing.T) {
	var all []string
	for w := range words {
		for _, suffix := range []string{"", "!", "+", "*"} {
			all = append(all, w+suffix)
		}
	}
	for _, sw := range all {
		for _, dw := range all {
			s, d := side("node1", sw), side("node2", dw)
			dec := Orphan(s, d)
			at := sw + "/" + dw
			sc, dc := classify(s.Status), classify(d.Status)
			if (sc == unreachable || dc == unreachable) && dec.Action != ActWait {
				t.Errorf("%s: %s though a host did not answer", at, dec.Action)
			}
			if (s.Status.JobActive || d.Status.JobActive) && dec.Action != ActWait {
				t.Errorf("%s: %s though libvirt is at work", at, dec.Action)
			}
			if dec.Action == ActUndo && (dc == running || dc == paused || dc == pausedIOError) {
				t.Errorf("%s: the source is brought back beside a copy that may have run", at)
			}
			if dec.Action == ActComplete && (sc == running || dc == missing) {
				t.Errorf("%s: the target is taken for the owner", at)
			}
			if dec.Action == ActForward {
				t.Errorf("%s: a copy is resumed without a journal", at)
			}
		}
	}
}
